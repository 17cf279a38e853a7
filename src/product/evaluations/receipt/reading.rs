//! Receipts as they are given out, and evaluations computed again from what is stored.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use serde_json::Value;
use tokio_postgres::{Row, types::Json};

use super::{
    Receipt,
    bundle::{self, Bundle, SignedReceipt},
    verify::{self, Provided, Report},
};
use crate::{
    foundation::{access::Grant, digest, ids::EvaluationId},
    platform::{
        db::{Db, DbError, InTenant, Statements},
        http::{Kind, Refusal},
        plugins::{CriterionScore, PluginHost, Utterance},
    },
    product::evaluations::{
        binding,
        model::{Answer, EvaluationStatus},
        reading,
        store::{self, Binding},
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
struct Stored {
    bundle: Bundle,
    receipt: Receipt,
    answers: Vec<Answer>,
    scores: Vec<CriterionScore>,
    overall: Option<u32>,
    /// The digest that the recording's row names, and where the recording lies.
    audio: Option<(String, String)>,
    plugins: Vec<Binding>,
    key_is_known: bool,
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
        for bound in &stored.plugins {
            match binding::fetch(&self.plugins, self.objects.as_ref(), bound).await {
                Ok(Ok(plugin)) => provided.plugins.push(plugin),
                Ok(Err(error)) => provided.without_plugins = Some(error.code().to_owned()),
                Err(_) => provided.without_plugins = Some("the object store did not give it".to_owned()),
            }
        }
        let mut report = verify::verify(&stored.bundle, &stored.receipt, &provided).await;
        if stored.bundle.receipt.signature.is_some() {
            if stored.key_is_known {
                report.note("receipt_key", true);
            } else {
                report.differs("receipt_key", "the tenant has no such key");
            }
        }
        outcome(&stored, &mut report);
        Ok(report)
    }

    /// SHA-256 of the recording as it lies in the object store; none without one.
    async fn audio(&self, stored: &Stored) -> Option<String> {
        let (_, key) = stored.audio.as_ref()?;
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
        let utterances: Option<Json<Vec<Utterance>>> = row.try_get("utterances").map_err(DbError::from)?;
        let Json(transcript) = utterances.ok_or(ReceiptError::NoTranscript)?;
        Ok(stored(&row, transcript)?)
    }
}

/// What is stored of the outcome: rows that people read, and that no signature covers.
fn outcome(stored: &Stored, report: &mut Report) {
    if stored.receipt.masked {
        return;
    }
    report.note("stored_answers", digest::of_json(&stored.answers) == stored.receipt.answers);
    let Some(output) = report.output.clone() else { return };
    let by_key = |scores: &[CriterionScore]| {
        let mut scores: Vec<_> = scores.iter().map(|score| (score.key.clone(), score.score, score.passed)).collect();
        scores.sort();
        scores
    };
    report.note("stored_scores", by_key(&stored.scores) == by_key(&output.criteria));
    report.note("stored_overall", stored.overall == output.overall);
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

fn stored(row: &Row, transcript: Vec<Utterance>) -> Result<Stored, DbError> {
    let (signed, receipt) = signed(row)?;
    let organization_id = row.try_get("organization_id")?;
    let version = store::scorecard(row, organization_id)?;
    let Json(answers) = row.try_get("answers")?;
    let (scorer, prompt) = (store::binding(row, "scorer")?, store::binding(row, "prompt")?);
    let settings =
        |binding: &Option<Binding>| -> Option<Value> { binding.as_ref().map(|bound| bound.settings.clone()) };
    let sha256: Option<String> = row.try_get("audio_sha256")?;
    let overall: Option<i32> = row.try_get("overall")?;
    Ok(Stored {
        bundle: Bundle {
            kind: bundle::KIND.to_owned(),
            receipt: signed,
            transcript,
            metrics: store::metrics(row.try_get("metrics")?),
            scorecard_version: version.version.unsigned_abs(),
            scorecard: version.definition,
            raw_answer: row.try_get("raw_answer")?,
            human_answers: row.try_get::<_, Json<_>>("human_answers")?.0,
            scorer_settings: settings(&scorer),
            prompt_settings: settings(&prompt),
        },
        receipt,
        answers,
        scores: reading::scores(row)?,
        overall: overall.map(i32::unsigned_abs),
        audio: sha256.zip(row.try_get("audio_object_key")?),
        plugins: [scorer, prompt].into_iter().flatten().collect(),
        key_is_known: row.try_get("key_is_known")?,
    })
}
