//! What is stored beside a receipt, held against what was computed again: rows that people read, and that no signature covers.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::{Row, types::Json};
use uuid::Uuid;

use super::{Receipt, reading::Stored, verify::Report};
use crate::{
    foundation::digest,
    platform::{db::DbError, plugins::CriterionScore},
    product::{
        calls::{self, written},
        evaluations::{
            evidence, insights,
            model::{Answer, Insight, verdict_word},
            reading, scoring,
        },
        scorecards::model::ScorecardVersion,
    },
};

/// The transcript as the tables have it.
pub(super) struct Raw {
    /// As it was said.
    pub(super) utterances: Vec<calls::model::Utterance>,
    /// The digest of that.
    pub(super) digest: Option<String>,
    /// The same without personal data.
    pub(super) redacted: Vec<calls::model::Utterance>,
    /// The digest of that; none of a transcript that was replaced.
    pub(super) redacted_digest: Option<String>,
    /// The digest of what was replaced; none of a transcript that was replaced.
    pub(super) redaction_digest: Option<String>,
}

/// Rows of an evaluation, its scores and its findings.
pub(super) struct Outcome {
    answers: Vec<Answer>,
    scores: Vec<ScoreRow>,
    insights: Vec<Insight>,
    overall: Option<u32>,
    /// What the call shows of it.
    shown_overall: Option<u32>,
    passed: Option<bool>,
    needs_review: bool,
    quotes: (i32, i32),
    audio_sha256: Option<String>,
    /// The digest that the scorecard version's row has.
    scorecard_digest: String,
    circumstances: Circumstances,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ScoreRow {
    key: String,
    section: String,
    verdict: String,
    score: Option<u32>,
    passed: Option<bool>,
    note: Option<String>,
}

/// Columns that say what the receipt says.
#[derive(Debug, PartialEq)]
struct Circumstances {
    evaluation_id: Uuid,
    organization_id: Uuid,
    scorecard_version_id: Uuid,
    provider: String,
    model: String,
    prompt: String,
    prompt_builder: String,
    revision: i32,
    cause: String,
    replaces: Option<Uuid>,
    transcript_version: i32,
    rescore_id: Option<Uuid>,
    parameters: Value,
    assessed_at_ms: i64,
    scorer: Option<String>,
}

pub(super) fn read(row: &Row, version: &ScorecardVersion) -> Result<Outcome, DbError> {
    let Json(answers) = row.try_get("answers")?;
    let hundredths = |column| Ok::<_, DbError>(row.try_get::<_, Option<i32>>(column)?.map(i32::unsigned_abs));
    let assessed_at: DateTime<Utc> = row.try_get("assessed_at")?;
    Ok(Outcome {
        answers,
        scores: score_rows(row)?,
        insights: reading::insights(row)?,
        overall: hundredths("overall")?,
        shown_overall: hundredths("shown_overall")?,
        passed: row.try_get("passed")?,
        needs_review: row.try_get("needs_review")?,
        quotes: (row.try_get("quotes")?, row.try_get("quotes_rejected")?),
        audio_sha256: row.try_get("audio_sha256")?,
        scorecard_digest: version.digest.clone(),
        circumstances: Circumstances {
            evaluation_id: row.try_get("evaluation_id")?,
            organization_id: row.try_get("organization_id")?,
            scorecard_version_id: row.try_get("scorecard_version_id")?,
            provider: row.try_get("provider")?,
            model: row.try_get("model")?,
            prompt: row.try_get("asked_digest")?,
            prompt_builder: row.try_get("prompt_builder")?,
            revision: row.try_get("revision")?,
            cause: row.try_get("cause")?,
            replaces: row.try_get("replaces")?,
            transcript_version: row.try_get("transcript_version")?,
            rescore_id: row.try_get("rescore_id")?,
            parameters: row.try_get("parameters")?,
            assessed_at_ms: assessed_at.timestamp_millis(),
            scorer: row.try_get("scorer")?,
        },
    })
}

fn score_rows(row: &Row) -> Result<Vec<ScoreRow>, DbError> {
    let verdicts: Option<Vec<String>> = row.try_get("verdicts")?;
    let sections: Option<Vec<String>> = row.try_get("sections")?;
    let each = reading::scores(row)?.into_iter().zip(verdicts.unwrap_or_default()).zip(sections.unwrap_or_default());
    let each = each.map(|((score, verdict), section)| {
        let CriterionScore { key, score, passed, note } = score;
        ScoreRow { key, section, verdict, score, passed, note }
    });
    let mut rows: Vec<ScoreRow> = each.collect();
    rows.sort();
    Ok(rows)
}

/// Notes of each stored part whether it is what was computed again, or what the receipt says.
pub(super) fn compare(stored: &Stored, report: &mut Report) {
    let Some(circumstances) = of_receipt(&stored.receipt).filter(|_| !stored.receipt.masked) else { return };
    let (outcome, receipt) = (&stored.outcome, &stored.receipt);
    raw(stored, report);
    let audio = receipt.about.as_ref().and_then(|about| about.audio.as_ref());
    report.note("stored_audio", outcome.audio_sha256.as_ref() == audio);
    report.note("stored_scorecard", outcome.scorecard_digest == receipt.scorecard);
    report.note("stored_circumstances", outcome.circumstances == circumstances);
    report.note("stored_answers", digest::of_json(&outcome.answers) == receipt.answers);
    let insights = receipt.scoring.as_ref().map(|scoring| scoring.insights.as_str());
    report.note("stored_insights", insights == Some(digest::of_json(&outcome.insights).as_str()));
    let (Some(output), Some(answers)) = (report.output.clone(), report.answers.clone()) else { return };
    let (all, rejected) = evidence::rejected(&answers);
    let quotes = (i32::try_from(all).ok(), i32::try_from(rejected).ok());
    let needs_review = insights::needs_review(&answers, &stored.bundle.transcript);
    let counted = (Some(outcome.quotes.0), Some(outcome.quotes.1)) == quotes;
    report.note("stored_review", counted && outcome.needs_review == needs_review);
    report.note("stored_scores", outcome.scores == computed(stored, &answers, &output.criteria));
    let overall = (outcome.overall, outcome.shown_overall) == (output.overall, output.overall);
    report.note("stored_overall", overall);
    report.note("stored_passed", outcome.passed == scoring::passed(&stored.bundle.scorecard, &output));
}

/// What was really said is bound to the receipt by what the redaction left of it; what was replaced, by the transcript's own digest.
fn raw(stored: &Stored, report: &mut Report) {
    let raw = &stored.raw;
    match &raw.digest {
        None => report.cannot("raw_transcript", "it was stored without a digest"),
        Some(digest) => {
            let texts: Vec<String> = raw.redacted.iter().map(|utterance| utterance.text.clone()).collect();
            let makes_it = stored.bundle.redaction.applied(&raw.utterances) == Some(texts);
            report.note("raw_transcript", makes_it && *digest == written::digest(&raw.utterances));
        }
    }
    let same = |stored: &Option<String>, now: String| stored.as_ref().is_none_or(|stored| *stored == now);
    let redacted = same(&raw.redacted_digest, written::digest(&raw.redacted));
    report.note("stored_redaction", redacted && same(&raw.redaction_digest, stored.bundle.redaction.digest()));
}

/// The rows that the scores make.
fn computed(stored: &Stored, answers: &[Answer], scores: &[CriterionScore]) -> Vec<ScoreRow> {
    let sections = stored.bundle.scorecard.sections.iter();
    let rows = sections.flat_map(|section| section.criteria.iter().map(move |criterion| (section, criterion)));
    let mut rows: Vec<ScoreRow> = rows
        .map(|(section, criterion)| {
            let verdict = answers.iter().find(|answer| answer.criterion == criterion.key).map(|answer| answer.verdict);
            let score = scores.iter().find(|score| score.key == criterion.key);
            ScoreRow {
                key: criterion.key.clone(),
                section: section.key.clone(),
                verdict: verdict.map_or("unverified", verdict_word).to_owned(),
                score: score.and_then(|score| score.score),
                passed: score.and_then(|score| score.passed),
                note: score.and_then(|score| score.note.as_ref()).map(|note| note.replace('\0', "\u{fffd}")),
            }
        })
        .collect();
    rows.sort();
    rows
}

fn of_receipt(receipt: &Receipt) -> Option<Circumstances> {
    let about = receipt.about.as_ref()?;
    let builder = &receipt.prompt_builder;
    let scorer = receipt.scoring.as_ref().map(|scoring| &scoring.scorer);
    Some(Circumstances {
        evaluation_id: about.evaluation_id.0,
        organization_id: about.organization_id.0,
        scorecard_version_id: receipt.scorecard_version_id.0,
        provider: receipt.provider.clone(),
        model: receipt.model.clone(),
        prompt: receipt.prompt.clone(),
        prompt_builder: format!("{} {}", builder.name, builder.version),
        revision: about.revision,
        cause: about.cause.as_str().to_owned(),
        replaces: about.replaces.map(|replaces| replaces.0),
        transcript_version: about.transcript_version,
        rescore_id: about.rescore_id.map(|rescore| rescore.0),
        parameters: about.parameters.clone(),
        assessed_at_ms: about.assessed_at_ms,
        scorer: scorer.map(|scorer| format!("{} {}", scorer.name, scorer.version)),
    })
}
