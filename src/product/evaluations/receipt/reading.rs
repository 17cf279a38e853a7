//! Receipts as they are given out, and evaluations computed again from what is stored.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::{Row, types::Json};

use super::{
    Receipt,
    bundle::{self, Bundle, SignedReceipt},
    keys::{self, StoredKey},
    outcome::{self, Outcome, Raw},
    verify::{self, Provided, Report},
};
use crate::{
    foundation::{
        access::Grant,
        crypto::{CryptoError, MasterKey},
        digest,
        ids::EvaluationId,
    },
    platform::{
        db::{Db, DbError, InTenant, Statements},
        http::{Kind, Refusal},
        plugins::{PluginHost, Utterance},
    },
    product::{
        calls::{
            self,
            redaction::{Company, Replaced, Span, redact},
        },
        evaluations::{
            model::{EvaluationStatus, speaker_of},
            store,
        },
        plugins::{binding, model::Binding},
    },
    sql,
};

/// Why there is no receipt to be had.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// There is no such evaluation, or the grant does not reach it.
    #[error("no such evaluation")]
    NotFound,
    /// There is nothing to sign yet.
    #[error("the evaluation is not scored yet")]
    NotScored,
    /// The transcript that was judged is not there any more.
    #[error("the transcript that was judged is not there")]
    NoTranscript,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ReceiptError> for Refusal {
    fn from(error: ReceiptError) -> Self {
        match error {
            ReceiptError::NotFound => Refusal::not_found("evaluation"),
            ReceiptError::NotScored | ReceiptError::NoTranscript => Refusal::new(Kind::IllegalState, error.to_string()),
            ReceiptError::Db(error) => error.into(),
        }
    }
}

/// An evaluation with everything that its receipt names.
pub(super) struct Stored {
    pub(super) bundle: Bundle,
    pub(super) receipt: Receipt,
    pub(super) outcome: Outcome,
    pub(super) raw: Raw,
    /// Where the recording lies.
    audio: Option<String>,
    plugins: Vec<Binding>,
    keys: Keys,
}

/// What the tenant's keys say of the one that a receipt names.
struct Keys {
    /// That key, with what was stored of it.
    named: Option<StoredKey>,
    /// When the next one took its place.
    replaced_at: Option<DateTime<Utc>>,
    /// When the tenant got its first key.
    first_at: Option<DateTime<Utc>>,
}

/// The reading operations on receipts. Cheap to clone.
#[derive(Clone)]
pub struct Receipts {
    /// The door to data.
    pub db: Arc<Db>,
    /// Where recordings and plugins lie.
    pub objects: Arc<dyn ObjectStore>,
    /// Where plugins run.
    pub plugins: Arc<PluginHost>,
    /// What private halves are sealed with, by which a key is proven to be the tenant's.
    pub master: Option<MasterKey>,
}

impl Receipts {
    /// The receipt of a scored evaluation, as it was signed.
    ///
    /// # Errors
    /// [`ReceiptError::NotFound`], [`ReceiptError::NotScored`].
    pub async fn get(&self, grant: &Grant, id: EvaluationId) -> Result<(SignedReceipt, Receipt), ReceiptError> {
        let on = self.db.alone(grant);
        let row = on.opt(sql!("evaluations/find_signed_receipt"), &[&id, &on.organizations()]).await?;
        let (signed, receipt) = signed(&row.ok_or(ReceiptError::NotFound)?)?;
        if receipt.scoring.is_some() { Ok((signed, receipt)) } else { Err(ReceiptError::NotScored) }
    }

    /// The receipt with everything that it was made of.
    ///
    /// # Errors
    /// As [`Receipts::get`], and [`ReceiptError::NoTranscript`].
    pub async fn bundle(&self, grant: &Grant, id: EvaluationId) -> Result<Bundle, ReceiptError> {
        Ok(self.load(grant, id).await?.bundle)
    }

    /// Computes an evaluation again from what is stored, and holds what is stored of the outcome against it.
    ///
    /// # Errors
    /// As [`Receipts::bundle`]. What cannot be computed is a part of the report and no error.
    pub async fn verify(&self, grant: &Grant, id: EvaluationId) -> Result<Report, ReceiptError> {
        let stored = self.load(grant, id).await?;
        let mut provided = Provided { audio: self.audio(&stored).await, ..Provided::default() };
        match self.proven(&stored.keys) {
            Ok(keys) => provided.keys = Some(keys),
            Err(why) => provided.without_keys = Some(why.to_owned()),
        }
        for bound in &stored.plugins {
            match binding::fetch(&self.plugins, self.objects.as_ref(), grant.tenant(), bound).await {
                Ok(Ok(plugin)) => provided.plugins.push(plugin),
                Ok(Err(error)) => provided.without_plugins = Some(error.code().to_owned()),
                Err(_) => provided.without_plugins = Some("the object store did not give it".to_owned()),
            }
        }
        let mut report = verify::verify(&stored.bundle, &stored.receipt, &provided).await;
        in_use(&stored, &mut report);
        outcome::compare(&stored, &mut report);
        Ok(report)
    }

    /// The tenant's key that the receipt names, if it is one; or why that cannot be told.
    fn proven(&self, keys: &Keys) -> Result<Vec<String>, &'static str> {
        let Some(named) = &keys.named else { return Ok(vec![]) };
        let master = self.master.as_ref().ok_or("the server has no master key to prove the tenant's key with")?;
        match keys::proven(master, named) {
            Ok(()) => Ok(vec![named.public_key.clone()]),
            Err(CryptoError::OtherMasterKey(_)) => {
                Err("the tenant's key is sealed with another master key, so it cannot be proven")
            }
            Err(_) => Ok(vec![]),
        }
    }

    /// SHA-256 of the recording as it lies in the object store; none without one.
    async fn audio(&self, stored: &Stored) -> Option<String> {
        let key = stored.audio.as_ref()?;
        let object = self.objects.get(&Path::from(key.as_str())).await.ok()?;
        let mut sum = Context::new(&SHA256);
        let mut pieces = object.into_stream();
        while let Some(piece) = pieces.try_next().await.ok()? {
            sum.update(&piece);
        }
        Some(digest::hexadecimal(sum.finish().as_ref()))
    }

    async fn load(&self, grant: &Grant, id: EvaluationId) -> Result<Stored, ReceiptError> {
        let on = self.db.alone(grant);
        let with_root = store::with_root(&on);
        let row = on.opt(sql!("evaluations/load_for_verify"), &[&id, &on.organizations(), &with_root]).await?;
        let row = row.ok_or(ReceiptError::NotFound)?;
        let status: &str = row.try_get("evaluation_status").map_err(DbError::from)?;
        if status != EvaluationStatus::Evaluated.as_str() {
            return Err(ReceiptError::NotScored);
        }
        stored(&row)?.ok_or(ReceiptError::NoTranscript)
    }
}

fn signed(row: &Row) -> Result<(SignedReceipt, Receipt), DbError> {
    let Json::<Receipt>(receipt) = row.try_get("receipt")?;
    let signed = SignedReceipt {
        payload: receipt.payload(),
        signature: row.try_get("signature")?,
        public_key: row.try_get("public_key")?,
    };
    Ok((signed, receipt))
}

/// `None` when the transcript is gone.
fn stored(row: &Row) -> Result<Option<Stored>, DbError> {
    let Some(Said { transcript, redaction, raw }) = said(row)? else { return Ok(None) };
    let (signed, receipt) = signed(row)?;
    let version = store::scorecard(row, row.try_get("organization_id")?)?;
    let outcome = outcome::read(row, &version)?;
    let (scorer, prompt) = (store::binding(row, "scorer")?, store::binding(row, "prompt")?);
    let settings =
        |binding: &Option<Binding>| -> Option<Value> { binding.as_ref().map(|bound| bound.settings.clone()) };
    Ok(Some(Stored {
        bundle: Bundle {
            kind: bundle::KIND.to_owned(),
            receipt: signed,
            transcript,
            redaction,
            metrics: store::metrics(row.try_get("metrics")?),
            scorecard_version: version.version.unsigned_abs(),
            scorecard: version.definition,
            raw_answer: row.try_get("raw_answer")?,
            human_answers: row.try_get::<_, Json<_>>("human_answers")?.0,
            scorer_settings: settings(&scorer),
            prompt_settings: settings(&prompt),
        },
        outcome,
        raw,
        receipt,
        audio: row.try_get::<_, Option<String>>("audio_object_key")?,
        plugins: [scorer, prompt].into_iter().flatten().collect(),
        keys: keys(row)?,
    }))
}

fn keys(row: &Row) -> Result<Keys, DbError> {
    let named = row.try_get::<_, Option<String>>("sealed_private_key")?;
    Ok(Keys {
        named: named.map(|_| keys::stored(row)).transpose()?,
        replaced_at: row.try_get("key_replaced_at")?,
        first_at: row.try_get("first_key_at")?,
    })
}

/// Whether whoever should sign then did: the key that was the newest, and somebody once there was a key. What signs comes after what is assessed, so a
/// key that was replaced before signs nothing.
fn in_use(stored: &Stored, report: &mut Report) {
    let assessed_at = stored.outcome.assessed_at();
    let after = |then: Option<DateTime<Utc>>| then.is_some_and(|then| assessed_at > then);
    let is_unsigned = stored.bundle.receipt.signature.is_none();
    if is_unsigned && after(stored.keys.first_at) {
        report.differs("key_in_use", "nobody signed it, and the tenant had a key when it was assessed");
    } else if !is_unsigned && after(stored.keys.replaced_at) {
        report.differs("key_in_use", "its key had been replaced when it was assessed");
    } else if !is_unsigned {
        report.note("key_in_use", true);
    }
}

/// What was said, with and without personal data.
struct Said {
    transcript: Vec<Utterance>,
    redaction: Replaced,
    raw: Raw,
}

/// One row of `utterances`, or of a transcript that was replaced.
#[derive(Deserialize)]
struct Turn {
    #[serde(flatten)]
    raw: calls::model::Utterance,
    redacted_text: Option<String>,
}

fn said(row: &Row) -> Result<Option<Said>, DbError> {
    let Some(Json::<Vec<Turn>>(turns)) = row.try_get("utterances")? else { return Ok(None) };
    let spans: Option<Json<Vec<Span>>> = row.try_get("redaction")?;
    let mut spans = spans.map(|Json(spans)| spans).unwrap_or_default();
    let (raw, redacted): (Vec<_>, Vec<_>) = turns.into_iter().map(|turn| (turn.raw, turn.redacted_text)).unzip();
    let is_redacted = redacted.iter().all(Option::is_some);
    let texts = if is_redacted {
        redacted.into_iter().flatten().collect()
    } else {
        // It was written before transcripts were redacted, and is redacted whenever it is read.
        let redaction = redact(&raw, &[], &Company::default());
        spans = redaction.spans;
        redaction.texts
    };
    let with = |(turn, text): (&calls::model::Utterance, String)| calls::model::Utterance { text, ..turn.clone() };
    let without: Vec<_> = raw.iter().zip(texts).map(with).collect();
    let Json::<Receipt>(receipt) = row.try_get("receipt")?;
    let of_receipt = receipt.about.map(|about| about.redaction).unwrap_or_default();
    Ok(Some(Said {
        transcript: without.iter().map(for_receipt).collect(),
        redaction: Replaced::of_digest(spans, &of_receipt),
        raw: Raw {
            utterances: raw,
            digest: row.try_get("raw_digest")?,
            redacted: without,
            redacted_digest: row.try_get("redacted_digest")?,
            redaction_digest: row.try_get("redaction_digest")?,
        },
    }))
}

fn for_receipt(turn: &calls::model::Utterance) -> Utterance {
    let ms = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    Utterance {
        n: turn.n.unsigned_abs(),
        speaker: speaker_of(turn.speaker.as_str()),
        start_ms: ms(turn.start_ms),
        end_ms: ms(turn.end_ms),
        text: turn.text.clone(),
    }
}
