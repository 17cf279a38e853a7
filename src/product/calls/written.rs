//! Written conversations: chats and e-mail threads, which need no transcription.

use chrono::{DateTime, Utc};
use futures_util::TryFutureExt;

use super::{
    CallError, Stages, admit, arriving,
    metrics::measure,
    model::{Call, CallDetails, CallStatus, Utterance},
    redaction::{Company, redact},
    store::{self, Transcription},
};
use crate::{
    foundation::{digest, ids::CallId},
    platform::{
        audit,
        db::{InTenant, TenantTx},
        tenancy::quotas::{self, Quotas},
    },
};

/// Utterances that one conversation may have.
pub const MAX_UTTERANCES: usize = 20_000;
/// No conversation is longer: ten days.
const MAX_MS: i64 = 864_000_000;

/// Receives a written conversation on the caller's transaction and queues its first stage.
///
/// # Errors
/// [`CallError`]; nothing is written then.
pub async fn receive(
    tx: &TenantTx<'_>,
    stages: &dyn Stages,
    quotas: &Quotas,
    details: &CallDetails,
    utterances: &[Utterance],
    company: &Company,
    now: DateTime<Utc>,
) -> Result<Call, CallError> {
    super::check(tx.grant(), details)?;
    check(utterances)?;
    let mut call = arriving(CallId::new(), details, CallStatus::Transcribed, now);
    call.duration_ms = utterances.iter().filter_map(|utterance| utterance.end_ms).max();
    let redaction = redact(utterances, &[], company);
    let transcription = Transcription {
        provider: "written".to_owned(),
        reference: None,
        webhook_secret: None,
        model: None,
        language: details.language.clone(),
        digest: Some(digest(utterances)),
        redacted_digest: Some(digest(&redaction.applied(utterances))),
        redaction: Some(redaction.spans.clone()),
        metrics: Some(measure(utterances)),
        submitted_at: now,
        completed_at: Some(now),
    };
    let facts = serde_json::json!({ "channel": call.channel, "utterances": utterances.len() });
    // Everything travels together. A refusal outweighs what breaks because of what it refuses.
    // Boxed: so many statements at once make a large future of everything that awaits them.
    let writing = Box::pin(async {
        tokio::try_join!(
            biased; // the first refusal is the one to tell: after it, the others only say that the transaction is over
            store::insert(tx, &call).err_into::<CallError>(),
            store::insert_transcription(tx, &call, &transcription).err_into(),
            store::insert_utterances(tx, &call, utterances, &redaction.texts).err_into(),
            audit::audit(tx, "call.received", "call", Some(call.call_id.0), call.organization_id, facts).err_into(),
            stages.begin(tx, &call, now).err_into(),
            // Last: its lock is waited for by the tenant's other uploads.
            quotas::count_call(tx, quotas, now).err_into(),
        )
    });
    let (admitted, written) = tokio::join!(biased; admit(tx, details), writing);
    admitted?;
    written?;
    Ok(call)
}

/// Digest of what was said and by whom: SHA-256 over canonical JSON, the transcript's part of a receipt.
pub fn digest(utterances: &[Utterance]) -> String {
    digest::of_json(&utterances)
}

/// Whether that can be a conversation.
///
/// # Errors
/// [`CallError::Invalid`] names the first thing that cannot.
pub fn check(utterances: &[Utterance]) -> Result<(), CallError> {
    let invalid = |field: String, reason: &str| Err(CallError::Invalid { field, reason: reason.to_owned() });
    if utterances.is_empty() || utterances.len() > MAX_UTTERANCES {
        return invalid("utterances".to_owned(), &format!("1 to {MAX_UTTERANCES} are taken"));
    }
    for (at, utterance) in utterances.iter().enumerate() {
        let field = |name| format!("utterances[{at}].{name}");
        if utterance.text.trim().is_empty() {
            return invalid(field("text"), "may not be empty");
        }
        if utterance.text.contains('\0') {
            return invalid(field("text"), "may not hold a NUL character");
        }
        match (utterance.start_ms, utterance.end_ms) {
            (Some(start), _) if start > MAX_MS => return invalid(field("start_ms"), "is more than ten days"),
            (_, Some(end)) if end > MAX_MS => return invalid(field("end_ms"), "is more than ten days"),
            (Some(start), _) if start < 0 => return invalid(field("start_ms"), "may not be negative"),
            (Some(start), Some(end)) if end < start => return invalid(field("end_ms"), "may not be before start_ms"),
            (None, Some(_)) => return invalid(field("start_ms"), "is needed beside end_ms"),
            _ => {}
        }
    }
    Ok(())
}
