//! Rows of `evaluations`, `scores` and `insights`, as the stages write them: one function per query file.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::{Row, types::Json};

use super::carry::Before;
use super::model::{Answer, EvaluationStatus, Insight, RevisionCause, speaker_of, verdict_word};
use super::questions::{self, HumanAnswer};
use super::receipt::{self, About, Material, Receipt, bundle::SignedReceipt, keys::StoredKey};
use super::{evidence, prompt};
use crate::{
    foundation::{
        digest,
        ids::{AgentId, CallId, EvaluationId, OrganizationId, ReceiptKeyId, ScorecardVersionId},
    },
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        plugins::{CallFacts, CriterionScore, PromptInput, Scorecard, Used, Utterance},
    },
    product::{
        calls::{
            self,
            redaction::{self, Company, Redaction, redact},
        },
        plugins::{
            beside::Beside,
            model::{Binding, FailurePolicy},
        },
        scorecards::model::{Criterion, Definition, ScorecardVersion},
    },
    sql,
};

/// A call with its transcript, as prompts and scores are made of it.
#[derive(Clone, Debug)]
pub struct CallMaterial {
    /// The organization that owns the call.
    pub organization_id: OrganizationId,
    /// Who was heard.
    pub agent_id: Option<AgentId>,
    /// The call's status, as in the table.
    pub status: String,
    /// The conversation as a whole.
    pub facts: CallFacts,
    /// The transcript without personal data, in order: prompts, evidence, rules and plugins know no other.
    pub utterances: Vec<Utterance>,
    /// Digest of what the redaction replaced where.
    pub redaction: String,
    /// Conversation metrics: the whole numbers among them.
    pub metrics: Vec<(String, i64)>,
    /// SHA-256 of the recording; none for a written conversation.
    pub audio: Option<String>,
    /// Which version of the transcript this is, from 1.
    pub transcript_version: i32,
    /// Whether a person made this version of the one before.
    pub corrected: bool,
}

/// The call's current evaluation, to which the next one is a revision.
#[derive(Clone, Debug)]
pub struct Previous {
    /// Its id.
    pub evaluation_id: EvaluationId,
    /// Its number.
    pub revision: i32,
    /// The version of the transcript that it judged.
    pub transcript_version: i32,
    /// What people answered in it, where they did.
    pub human: Option<Before>,
}

/// Everything that a prompt is made of.
#[derive(Clone, Debug)]
pub struct ForAssess {
    /// The call.
    pub call: CallMaterial,
    /// What it is judged by: its own scorecard's newest version, or the organization's; none when nothing is published.
    pub scorecard: Option<ScorecardVersion>,
    /// The organization's prompt builder.
    pub prompt_builder: Option<Binding>,
    /// The one that is tried beside it.
    pub beside: Option<Beside>,
    /// The call's current evaluation, when it has one already.
    pub previous: Option<Previous>,
}

impl ForAssess {
    /// What people answered to the same questions about the same transcript, and what of it is outdated.
    pub fn carried(&self, definition: &Definition) -> Vec<HumanAnswer> {
        let before = self.previous.as_ref().and_then(|previous| previous.human.as_ref());
        before.map_or_else(Vec::new, |before| before.carried(definition, self.call.transcript_version))
    }

    /// What a prompt builder is given. `now` is the only clock that it has.
    pub fn prompt_input(
        &self,
        scorecard: &ScorecardVersion,
        asked: &[&Criterion],
        seed: EvaluationId,
        now: DateTime<Utc>,
    ) -> PromptInput {
        PromptInput {
            call: self.call.facts.clone(),
            utterances: self.call.utterances.clone(),
            scorecard: questions::only(scorecard.for_plugins(), asked),
            seed: seed.0.as_u64_pair().1,
            evaluated_at_ms: now.timestamp_millis(),
            metadata: prompt::metadata(asked),
        }
    }

    /// Which evaluation comes of it, and the circumstances; the receipt's part besides digests. `asked_at` is what the prompt builder was told, `bound`
    /// the binding of the plugin that built the prompt.
    pub fn about(
        &self,
        evaluation_id: EvaluationId,
        asked_at: DateTime<Utc>,
        assessed_at: DateTime<Utc>,
        bound: Option<&Binding>,
        parameters: Value,
        human: &[HumanAnswer],
    ) -> About {
        let previous = self.previous.as_ref();
        About {
            evaluation_id,
            organization_id: self.call.organization_id,
            revision: previous.map_or(1, |previous| previous.revision + 1),
            cause: match previous {
                None => RevisionCause::First,
                Some(previous) if self.call.corrected && previous.transcript_version < self.call.transcript_version => {
                    RevisionCause::TranscriptCorrection
                }
                Some(_) => RevisionCause::Rerun,
            },
            replaces: previous.map(|previous| previous.evaluation_id),
            rescore_id: None,
            call: self.call.facts.clone(),
            audio: self.call.audio.clone(),
            transcript_version: self.call.transcript_version,
            redaction: self.call.redaction.clone(),
            metrics: receipt::metrics_digest(&self.call.metrics),
            asked_in: evaluation_id,
            asked_at_ms: asked_at.timestamp_millis(),
            asked: None,
            parts: vec![],
            reused: None,
            prompt_binding_id: bound.map(|bound| bound.binding_id),
            prompt_settings: bound.map(|bound| digest::of_json(&bound.settings)),
            parameters,
            reader: questions::READER.to_owned(),
            human_answers: receipt::human_digest(human),
            assessed_at_ms: assessed_at.timestamp_millis(),
        }
    }
}

/// Everything that a score is made of.
#[derive(Clone, Debug)]
pub struct ForScore {
    /// The call.
    pub call: CallMaterial,
    /// The call's newest evaluation.
    pub evaluation_id: EvaluationId,
    /// How far it has come.
    pub status: EvaluationStatus,
    /// What the language model said.
    pub raw_answer: String,
    /// What people answered.
    pub human_answers: Vec<HumanAnswer>,
    /// The answers with their checked evidence.
    pub answers: Vec<Answer>,
    /// The receipt so far.
    pub receipt: Receipt,
    /// When the evidence was checked.
    pub assessed_at: DateTime<Utc>,
    /// What the call is judged by.
    pub scorecard: ScorecardVersion,
    /// The organization's scorer.
    pub scorer: Option<Binding>,
    /// The one that is tried beside it.
    pub beside: Option<Beside>,
    /// The key that signs the tenant's receipts, once there is one.
    pub receipt_key: Option<StoredKey>,
}

impl ForScore {
    /// Whether the transcript has another version by now than the one that was judged.
    pub fn is_outdated(&self) -> bool {
        let judged = self.receipt.about.as_ref().map(|about| about.transcript_version);
        judged.is_some_and(|version| version != self.call.transcript_version)
    }

    /// What the scorer's input and a later re-computation are made of.
    pub fn material(&self) -> Material {
        Material {
            evaluation_id: self.evaluation_id,
            assessed_at: self.assessed_at,
            call: self.call.facts.clone(),
            transcript: self.call.utterances.clone(),
            metrics: self.call.metrics.clone(),
            scorecard: self.scorecard.for_plugins(),
            definition: self.scorecard.definition.clone(),
            human: self.human_answers.clone(),
        }
    }
}

/// An evaluation to be recorded, not scored yet.
pub struct NewEvaluation<'a> {
    /// Its id.
    pub evaluation_id: EvaluationId,
    /// The call.
    pub call_id: CallId,
    /// The organization that owns the call.
    pub organization_id: OrganizationId,
    /// Who was heard.
    pub agent_id: Option<AgentId>,
    /// What the call is judged by.
    pub scorecard_version_id: ScorecardVersionId,
    /// What the language model said.
    pub raw_answer: &'a str,
    /// The answers with their checked evidence.
    pub answers: &'a [Answer],
    /// Whether a person has to look at it.
    pub needs_review: bool,
    /// What people answered.
    pub human_answers: &'a [HumanAnswer],
    /// Tokens of the question.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// The provider's name for the configuration that answered.
    pub fingerprint: Option<&'a str>,
    /// What the tokens cost, in millionths; none where there is no price.
    pub cost_micros: Option<u64>,
    /// What the prompt builder took, where it is a plugin.
    pub plugin: Used,
    /// The receipt so far; provider, model, prompt, prompt builder and revision are taken from it.
    pub receipt: &'a Receipt,
    /// Now, in whole microseconds: what PostgreSQL keeps, so that the scorer's clock is the same when it is read back.
    pub assessed_at: DateTime<Utc>,
}

/// The scores of an evaluation.
pub struct NewScores<'a> {
    /// The evaluation.
    pub evaluation_id: EvaluationId,
    /// The scorecard that was applied.
    pub scorecard: &'a Scorecard,
    /// The answers with their checked evidence.
    pub answers: &'a [Answer],
    /// Whether a plugin's are among them, which were not there when the evaluation was assessed; and then whether a person has to look.
    pub answered: Option<bool>,
    /// A score for each criterion.
    pub scores: &'a [CriterionScore],
    /// What follows.
    pub insights: &'a [Insight],
    /// Who scored, as `name version`.
    pub scorer: &'a str,
    /// Why another scorer than the bound one.
    pub note: Option<&'a str>,
    /// In hundredths.
    pub overall: Option<u32>,
    /// Whether the call passes, where there is a pass mark.
    pub passed: Option<bool>,
    /// The whole receipt.
    pub receipt: &'a Receipt,
    /// What the scorer took, where it is a plugin.
    pub plugin: Used,
    /// The same as it was signed.
    pub signed: &'a SignedReceipt,
    /// Now.
    pub evaluated_at: DateTime<Utc>,
}

/// Everything that a prompt is made of; `None` when the grant reaches no such call.
///
/// # Errors
/// [`DbError`].
pub async fn load_for_assess(on: &impl InTenant, call_id: CallId) -> Result<Option<ForAssess>, DbError> {
    let query = sql!("evaluations/load_for_assess");
    let Some(row) = on.opt(query, &[&call_id, &on.organizations(), &with_root(on)]).await? else {
        return Ok(None);
    };
    let call = call(&row, call_id)?;
    let published: Option<ScorecardVersionId> = row.try_get("scorecard_version_id")?;
    let scorecard = published.map(|_| scorecard(&row, call.organization_id)).transpose()?;
    let (prompt_builder, beside) = (binding(&row, "prompt")?, beside(&row)?);
    Ok(Some(ForAssess { scorecard, prompt_builder, beside, previous: previous(&row)?, call }))
}

/// Records what the language model answered, before anything is scored.
///
/// # Errors
/// [`DbError`].
pub async fn record_assessed(tx: &TenantTx<'_>, new: &NewEvaluation<'_>) -> Result<(), DbError> {
    let builder = &new.receipt.prompt_builder;
    let about = new.receipt.about.as_ref();
    let prompt_tokens = i64::try_from(new.prompt_tokens).unwrap_or(i64::MAX);
    let completion_tokens = i64::try_from(new.completion_tokens).unwrap_or(i64::MAX);
    let (quotes, rejected) = evidence::rejected(new.answers);
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let (plugin_fuel, plugin_us) = meters(new.plugin);
    let parameters = about.map_or_else(|| Value::Object(serde_json::Map::new()), |about| about.parameters.clone());
    tx.execute(
        sql!("evaluations/insert"),
        &[
            &new.evaluation_id,
            &new.call_id,
            &new.organization_id,
            &new.agent_id,
            &new.scorecard_version_id,
            &new.receipt.provider,
            &new.receipt.model,
            &new.receipt.prompt,
            &format!("{} {}", builder.name, builder.version),
            &new.raw_answer,
            &Json(new.answers),
            &prompt_tokens,
            &completion_tokens,
            &new.needs_review,
            &Json(new.receipt),
            &new.assessed_at,
            &about.map_or(1, |about| about.revision),
            &about.map_or(RevisionCause::First, |about| about.cause),
            &about.and_then(|about| about.replaces),
            &about.map_or(1, |about| about.transcript_version),
            &about.and_then(|about| about.rescore_id),
            &tx.organizations(),
            &new.fingerprint,
            &parameters,
            &count(quotes),
            &count(rejected),
            &Json(new.human_answers),
            &new.cost_micros.map(|micros| i64::try_from(micros).unwrap_or(i64::MAX)),
            &plugin_fuel,
            &plugin_us,
        ],
    )
    .await?;
    Ok(())
}

/// A call's newest evaluation and everything that its score is made of; `None` when there is none that the grant reaches.
///
/// # Errors
/// [`DbError`].
pub async fn load_for_score(on: &impl InTenant, call_id: CallId) -> Result<Option<ForScore>, DbError> {
    let query = sql!("evaluations/load_for_score");
    let Some(row) = on.opt(query, &[&call_id, &on.organizations(), &with_root(on)]).await? else {
        return Ok(None);
    };
    let call = call(&row, call_id)?;
    let Json(answers) = row.try_get("answers")?;
    let Json(receipt) = row.try_get("receipt")?;
    let status: &str = row.try_get("evaluation_status")?;
    Ok(Some(ForScore {
        evaluation_id: row.try_get("evaluation_id")?,
        status: EvaluationStatus::parse(status).ok_or(DbError::NoRow("evaluations/load_for_score"))?,
        raw_answer: row.try_get("raw_answer")?,
        human_answers: row.try_get::<_, Json<_>>("human_answers")?.0,
        answers,
        receipt,
        assessed_at: row.try_get("assessed_at")?,
        scorecard: scorecard(&row, call.organization_id)?,
        scorer: binding(&row, "scorer")?,
        beside: beside(&row)?,
        receipt_key: row
            .try_get::<_, Option<ReceiptKeyId>>("receipt_key_id")?
            .map(|_| receipt::keys::stored(&row))
            .transpose()?,
        call,
    }))
}

/// Writes scores and insights and makes the evaluation `evaluated`; `false` when somebody else did so first.
///
/// # Errors
/// [`DbError`].
pub async fn record_scored(tx: &TenantTx<'_>, new: &NewScores<'_>) -> Result<bool, DbError> {
    let mut rows = ScoreRows::default();
    for section in &new.scorecard.sections {
        for criterion in &section.criteria {
            let verdict =
                new.answers.iter().find(|answer| answer.criterion == criterion.key).map(|answer| answer.verdict);
            let score = new.scores.iter().find(|score| score.key == criterion.key);
            rows.keys.push(&criterion.key);
            rows.sections.push(&section.key);
            rows.verdicts.push(verdict.map_or("unverified", verdict_word));
            rows.scores.push(score.and_then(|score| score.score).map(hundredths));
            rows.passed.push(score.and_then(|score| score.passed));
            rows.notes.push(score.and_then(|score| score.note.as_ref()).map(|note| note.replace('\0', "\u{fffd}")));
        }
    }
    let (plugin_fuel, plugin_us) = meters(new.plugin);
    let kinds: Vec<&str> = new.insights.iter().map(|insight| insight.kind.as_str()).collect();
    let criteria: Vec<Option<&str>> = new.insights.iter().map(|insight| insight.criterion.as_deref()).collect();
    let texts: Vec<&str> = new.insights.iter().map(|insight| insight.text.as_str()).collect();
    let written = tx
        .opt(
            sql!("evaluations/record_scored"),
            &[
                &new.evaluation_id,
                &tx.organizations(),
                &new.scorer,
                &new.note,
                &new.overall.map(hundredths),
                &Json(new.receipt),
                &new.evaluated_at,
                &rows.keys,
                &rows.sections,
                &rows.verdicts,
                &rows.scores,
                &rows.passed,
                &rows.notes,
                &kinds,
                &criteria,
                &texts,
                &new.passed,
                &new.signed.signature,
                &new.signed.public_key,
                &plugin_fuel,
                &plugin_us,
                &new.answered.map(|_| Json(new.answers)),
                &new.answered,
            ],
        )
        .await?;
    Ok(written.is_some())
}

/// Columns of `scores`, one entry for each criterion.
#[derive(Default)]
struct ScoreRows<'a> {
    keys: Vec<&'a str>,
    sections: Vec<&'a str>,
    verdicts: Vec<&'static str>,
    scores: Vec<Option<i32>>,
    passed: Vec<Option<bool>>,
    notes: Vec<Option<String>>,
}

/// Holds an evaluation for a person, and says why; `false` when it is scored already.
///
/// # Errors
/// [`DbError`].
pub async fn mark_held(
    tx: &TenantTx<'_>,
    evaluation_id: EvaluationId,
    note: &str,
    plugin: Used,
) -> Result<bool, DbError> {
    let (fuel, us) = meters(plugin);
    let query = sql!("evaluations/mark_held");
    Ok(tx.execute(query, &[&evaluation_id, &tx.organizations(), &note, &fuel, &us]).await? == 1)
}

/// As PostgreSQL's whole numbers.
fn meters(used: Used) -> (i64, i64) {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    (whole(used.fuel), whole(used.elapsed_us))
}

/// Plugin versions may belong to the whole tenant.
pub(super) fn with_root(on: &impl InTenant) -> Vec<OrganizationId> {
    on.organizations().iter().copied().chain([on.root()]).collect()
}

/// At most 10,000.
fn hundredths(score: u32) -> i32 {
    i32::try_from(score).unwrap_or(i32::MAX)
}

pub(super) fn call(row: &Row, call_id: CallId) -> Result<CallMaterial, DbError> {
    let started_at: Option<DateTime<Utc>> = row.try_get("started_at")?;
    let duration_ms: Option<i64> = row.try_get("duration_ms")?;
    let language: Option<String> = row.try_get("language")?;
    let (utterances, redaction) = utterances(row)?;
    Ok(CallMaterial {
        organization_id: row.try_get("organization_id")?,
        agent_id: row.try_get("agent_id")?,
        status: row.try_get("status")?,
        facts: CallFacts {
            id: call_id.to_string(),
            channel: row.try_get("channel")?,
            language: language.unwrap_or_else(|| "und".to_owned()),
            started_at_ms: started_at.map(|at| at.timestamp_millis()),
            duration_ms: duration_ms.and_then(|ms| u64::try_from(ms).ok()),
        },
        utterances,
        redaction,
        metrics: metrics(row.try_get("metrics")?),
        audio: row.try_get("audio_sha256")?,
        transcript_version: row.try_get::<_, Option<i32>>("transcript_version")?.unwrap_or(1),
        corrected: row.try_get::<_, Option<String>>("corrected_by")?.is_some(),
    })
}

fn previous(row: &Row) -> Result<Option<Previous>, DbError> {
    let Some(evaluation_id) = row.try_get("previous_id")? else { return Ok(None) };
    let transcript_version = row.try_get("previous_transcript_version")?;
    let Json::<Vec<HumanAnswer>>(human) = row.try_get("previous_human_answers")?;
    let human = match row.try_get::<_, Option<Json<Definition>>>("previous_definition")? {
        Some(Json(definition)) if !human.is_empty() => {
            Some(Before { evaluation_id, definition, transcript_version, human })
        }
        _ => None,
    };
    Ok(Some(Previous { evaluation_id, revision: row.try_get("previous_revision")?, transcript_version, human }))
}

/// The transcript without personal data, and the digest of what was replaced.
fn utterances(row: &Row) -> Result<(Vec<Utterance>, String), DbError> {
    let stored: Option<String> = row.try_get("redaction_digest")?;
    let Some(ns) = row.try_get::<_, Option<Vec<i32>>>("ns")? else {
        return Ok((Vec::new(), stored.unwrap_or_else(|| redaction::digest(&[]))));
    };
    let speakers: Vec<&str> = row.try_get("speakers")?;
    let starts: Vec<Option<i64>> = row.try_get("starts_ms")?;
    let ends: Vec<Option<i64>> = row.try_get("ends_ms")?;
    let mut texts: Vec<String> = row.try_get("texts")?;
    let unredacted = row.try_get::<_, Option<bool>>("unredacted")? == Some(true);
    let digest = match stored.filter(|_| !unredacted) {
        Some(digest) => digest,
        None => {
            // It was written before transcripts were redacted.
            let redacted = redacted(&ns, &speakers, texts);
            texts = redacted.texts;
            redaction::digest(&redacted.spans)
        }
    };
    let ms = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    let turns = ns.into_iter().zip(speakers).zip(starts.into_iter().zip(ends)).zip(texts);
    let turns = turns.map(|(((n, speaker), (start, end)), text)| Utterance {
        n: n.unsigned_abs(),
        speaker: speaker_of(speaker),
        start_ms: ms(start),
        end_ms: ms(end),
        text,
    });
    Ok((turns.collect(), digest))
}

fn redacted(ns: &[i32], speakers: &[&str], texts: Vec<String>) -> Redaction {
    let said = ns.iter().zip(speakers).zip(texts).map(|((n, speaker), text)| {
        let speaker = speaker.parse().unwrap_or(calls::model::Speaker::Unknown);
        calls::model::Utterance { n: *n, speaker, start_ms: None, end_ms: None, text }
    });
    redact(&said.collect::<Vec<_>>(), &[], &Company::default())
}

/// What an assessment is of: it holds for as long as nobody changes that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The evaluation that the call has.
    pub evaluation_id: Option<EvaluationId>,
    /// The version of its transcript.
    pub transcript_version: i32,
}

/// The evaluation that a call has now, and the version of its transcript. Whoever relies on it holds the call.
///
/// # Errors
/// [`DbError`].
pub async fn find_head(on: &impl InTenant, call_id: CallId) -> Result<Option<Head>, DbError> {
    let row = on.opt(sql!("evaluations/find_head"), &[&call_id, &on.organizations()]).await?;
    let head = |row: Row| {
        Ok(Head {
            evaluation_id: row.try_get("evaluation_id")?,
            transcript_version: row.try_get("transcript_version")?,
        })
    };
    row.map(head).transpose()
}

/// The whole numbers of the stored object, sorted by key, so that equal metrics are equal input.
pub(super) fn metrics(stored: Option<Value>) -> Vec<(String, i64)> {
    let Some(Value::Object(stored)) = stored else {
        return Vec::new();
    };
    let mut metrics: Vec<_> = stored.into_iter().filter_map(|(key, value)| Some((key, value.as_i64()?))).collect();
    metrics.sort_unstable();
    metrics
}

pub(super) fn scorecard(row: &Row, organization_id: OrganizationId) -> Result<ScorecardVersion, DbError> {
    let Json::<Definition>(definition) = row.try_get("definition")?;
    Ok(ScorecardVersion {
        scorecard_version_id: row.try_get("scorecard_version_id")?,
        scorecard_id: row.try_get("scorecard_id")?,
        organization_id,
        version: row.try_get("version")?,
        definition,
        digest: row.try_get("digest")?,
        published_at: row.try_get("published_at")?,
        published_by: row.try_get("published_by")?,
    })
}

fn beside(row: &Row) -> Result<Option<Beside>, DbError> {
    let Some(binding) = binding(row, "beside")? else { return Ok(None) };
    let share: Option<i32> = row.try_get("beside_canary_share")?;
    Ok(Some(Beside { binding, canary_share: share.map(i32::unsigned_abs) }))
}

pub(super) fn binding(row: &Row, world: &str) -> Result<Option<Binding>, DbError> {
    let column = |name: &str| format!("{world}_{name}");
    let Some(binding_id) = row.try_get(column("binding_id").as_str())? else {
        return Ok(None);
    };
    let policy: &str = row.try_get(column("policy").as_str())?;
    Ok(Some(Binding {
        binding_id,
        digest: row.try_get(column("digest").as_str())?,
        name: row.try_get(column("name").as_str())?,
        version: row.try_get(column("version").as_str())?,
        object_key: row.try_get(column("object_key").as_str())?,
        settings: row.try_get(column("settings").as_str())?,
        // The table's check lets no other word in; the strictest policy for what cannot be.
        policy: FailurePolicy::parse(policy).unwrap_or(FailurePolicy::Fail),
    }))
}
