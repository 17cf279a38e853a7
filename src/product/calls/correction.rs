//! Corrections: a person mends what a recogniser heard wrong. The transcript before is kept, and whatever was judged by it is outdated.

use chrono::{DateTime, Utc};

use super::{
    CallError,
    metrics::measure,
    model::{CallStatus, Speaker, Stage, Utterance},
    redaction::{Company, entities, placeholders, redact},
    store::{self, Corrected, Transcript},
    written,
};
use crate::{
    foundation::{access::Grant, ids::CallId},
    platform::{audit::audit, db::Db},
};

/// Corrections that one request may hold.
pub const MAX_CORRECTIONS: usize = 500;
/// Characters of the longest utterance.
const LONGEST_TEXT: usize = 20_000;

/// What one utterance should say, or who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The utterance's position, from 1.
    pub utterance: i32,
    /// The words; none leaves them.
    pub text: Option<String>,
    /// Who speaks; none leaves that.
    pub speaker: Option<Speaker>,
}

/// Makes the next version of a transcript of version `of`; returns it.
///
/// # Errors
/// [`CallError::StaleTranscript`] when somebody else was faster, [`CallError::NotAtRest`] while the call is being worked on,
/// [`CallError::Invalid`] for what corrects nothing.
pub async fn correct(
    db: &Db,
    grant: &Grant,
    call_id: CallId,
    of: i32,
    corrections: &[Correction],
    company: &Company,
    now: DateTime<Utc>,
) -> Result<Transcript, CallError> {
    db.tenant(grant, "calls.correct", async |tx| {
        let call = store::find(tx, call_id).await?.ok_or(CallError::NotFound)?;
        let found = store::find_transcript(tx, call_id, true).await?;
        let Transcript { utterances, version, redaction, .. } = found.ok_or(CallError::Absent("transcript yet"))?;
        // A call that waits for its score would be scored by answers to another transcript.
        let before_its_answers = call.failure.as_ref().is_some_and(|failure| failure.stage == Stage::Assess);
        let at_rest = call.status == CallStatus::Evaluated || before_its_answers;
        if !at_rest || !store::hold(tx, call_id, call.status).await? {
            return Err(CallError::NotAtRest(call.status));
        }
        if version != of {
            return Err(CallError::StaleTranscript);
        }
        let corrected = apply(&utterances, corrections)?;
        let redacted = redact(&corrected, &entities(&utterances, &redaction), company);
        let (digest, metrics) = (written::digest(&corrected), measure(&corrected));
        let redacted_digest = written::digest(&redacted.applied(&corrected));
        let head = Corrected {
            digest: &digest,
            redacted_digest: &redacted_digest,
            redaction: &redacted.spans,
            metrics: &metrics,
        };
        if !store::replace_transcript(tx, call_id, of, Some(&head), now).await? {
            return Err(CallError::StaleTranscript);
        }
        store::delete_utterances(tx, call_id).await?;
        store::insert_utterances(tx, &call, &corrected, &redacted.texts).await?;
        let which: Vec<i32> = corrections.iter().map(|correction| correction.utterance).collect();
        let details = serde_json::json!({ "version": of + 1, "utterances": which, "digest": redacted_digest });
        audit(tx, "transcript.corrected", "call", Some(call_id.0), call.organization_id, details).await?;
        store::find_transcript(tx, call_id, false).await?.ok_or(CallError::Conflict)
    })
    .await
}

/// The utterances with the corrections in them.
fn apply(utterances: &[Utterance], corrections: &[Correction]) -> Result<Vec<Utterance>, CallError> {
    let invalid = |field: String, reason: &str| CallError::Invalid { field, reason: reason.to_owned() };
    if corrections.is_empty() || corrections.len() > MAX_CORRECTIONS {
        return Err(invalid("corrections".to_owned(), &format!("1 to {MAX_CORRECTIONS} are taken")));
    }
    let mut corrected = utterances.to_vec();
    for (at, correction) in corrections.iter().enumerate() {
        let field = |name: &str| format!("corrections[{at}].{name}");
        if corrections[..at].iter().any(|other| other.utterance == correction.utterance) {
            return Err(invalid(field("utterance"), "is corrected twice"));
        }
        let found = corrected.iter_mut().find(|utterance| utterance.n == correction.utterance);
        let utterance = found.ok_or_else(|| invalid(field("utterance"), "is not in the transcript"))?;
        let before = utterance.clone();
        if let Some(text) = &correction.text {
            if text.trim().is_empty() {
                return Err(invalid(field("text"), "may not be empty"));
            }
            if text.contains('\0') || text.chars().count() > LONGEST_TEXT {
                return Err(invalid(field("text"), "may not hold a NUL character, nor more than 20,000 characters"));
            }
            // Who copies what is shown would overwrite what was said.
            if let Some(placeholder) = placeholders(text).into_iter().next()
                && !before.text.contains(&text[placeholder.clone()])
            {
                let shown = &text[placeholder];
                let reason = format!("holds the placeholder {shown}: write what was said, as `?raw=true` shows it");
                return Err(invalid(field("text"), &reason));
            }
            utterance.text.clone_from(text);
        }
        utterance.speaker = correction.speaker.unwrap_or(utterance.speaker);
        if *utterance == before {
            return Err(invalid(field("text"), "changes nothing"));
        }
    }
    Ok(corrected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Vec<Utterance> {
        let turn = |n, text: &str| Utterance {
            n,
            speaker: Speaker::Agent,
            start_ms: None,
            end_ms: None,
            text: text.to_owned(),
        };
        vec![turn(1, "Good mourning."), turn(2, "I see.")]
    }

    fn correction(utterance: i32, text: Option<&str>, speaker: Option<Speaker>) -> Correction {
        Correction { utterance, text: text.map(str::to_owned), speaker }
    }

    #[test]
    fn words_and_speakers_are_mended() {
        let mended =
            apply(&said(), &[correction(1, Some("Good morning."), None), correction(2, None, Some(Speaker::Customer))]);
        let mended = mended.unwrap();
        assert_eq!((mended[0].text.as_str(), mended[0].speaker), ("Good morning.", Speaker::Agent));
        assert_eq!((mended[1].text.as_str(), mended[1].speaker), ("I see.", Speaker::Customer));
    }

    #[test]
    fn what_corrects_nothing_is_refused() {
        let refused = |corrections: &[Correction]| match apply(&said(), corrections) {
            Err(CallError::Invalid { field, reason }) => format!("{field} {reason}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&[]), "corrections 1 to 500 are taken");
        assert_eq!(refused(&[correction(3, Some("x"), None)]), "corrections[0].utterance is not in the transcript");
        assert_eq!(refused(&[correction(1, Some(" "), None)]), "corrections[0].text may not be empty");
        assert!(refused(&[correction(1, Some("a\0"), None)]).starts_with("corrections[0].text may not hold"));
        assert_eq!(refused(&[correction(1, Some("Good mourning."), None)]), "corrections[0].text changes nothing");
        assert_eq!(refused(&[correction(2, None, None)]), "corrections[0].text changes nothing");
        let copied = refused(&[correction(2, Some("I see, [NAME_1]."), None)]);
        assert!(copied.starts_with("corrections[0].text holds the placeholder [NAME_1]"), "{copied}");
        let twice = [correction(1, Some("a"), None), correction(1, Some("b"), None)];
        assert_eq!(refused(&twice), "corrections[1].utterance is corrected twice");
    }
}
