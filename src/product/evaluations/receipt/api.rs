//! Receipts: `/api/evaluations/{evaluation_id}/receipt` and what belongs to it.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path},
    payload::Json,
    types::Any,
};
use serde_json::Value;

use super::{
    keys::{ReceiptKey, ReceiptKeys},
    reading::Receipts,
    verify::{Finding, Part, Report},
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{EvaluationId, ReceiptKeyId},
    },
    platform::http::{Created, ETag, IdempotencyKey, Once, Refusal},
};

#[derive(Tags)]
enum Tag {
    /// What scores were made of, signed, and the way to compute them again.
    Receipts,
}

/// The operations on receipts and the keys that sign them.
pub struct ReceiptsApi {
    /// Receipts.
    pub receipts: Receipts,
    /// Keys.
    pub keys: ReceiptKeys,
}

#[OpenApi(prefix_path = "/api", tag = "Tag::Receipts")]
impl ReceiptsApi {
    /// Get the receipt of an evaluation
    ///
    /// Digests of everything that went into the score, signed with the tenant's key. 409 before the evaluation is scored.
    #[oai(path = "/evaluations/:evaluation_id/receipt", method = "get", operation_id = "get_receipt")]
    async fn get_receipt(
        &self,
        caller: Caller,
        evaluation_id: Path<EvaluationId>,
    ) -> Result<Json<SignedReceiptView>, Refusal> {
        let grant = caller.may(Permission::ReadEvaluations)?;
        let (signed, receipt) = self.receipts.get(&grant, evaluation_id.0).await?;
        Ok(Json(SignedReceiptView {
            unsigned_because: signed.signature.is_none().then(|| UNSIGNED.to_owned()),
            payload: signed.payload,
            signature: signed.signature,
            public_key: signed.public_key,
            receipt_key_id: receipt.signed_by,
        }))
    }

    /// Get a receipt with everything that it was made of
    ///
    /// One document in canonical JSON: receipt, transcript, scorecard version, the language model's answer and the settings of plugins.
    /// `plumbline verify FILE` computes the evaluation again from it, without this server.
    #[oai(path = "/evaluations/:evaluation_id/receipt-bundle", method = "get", operation_id = "get_receipt_bundle")]
    async fn get_receipt_bundle(
        &self,
        caller: Caller,
        evaluation_id: Path<EvaluationId>,
    ) -> Result<Json<Any<Value>>, Refusal> {
        let grant = caller.may(Permission::VerifyEvaluations)?;
        let bundle = self.receipts.bundle(&grant, evaluation_id.0).await?;
        // Read from the canonical spelling, whose order of keys the answer keeps.
        let document = serde_json::from_str(&bundle.document()).map_err(|error| Refusal::internal(&error))?;
        Ok(Json(Any(document)))
    }

    /// Compute an evaluation again
    ///
    /// Everything deterministic, from the transcript that was judged to the overall score, by the scorer that scored; and for each part whether
    /// it is the same, differs, or cannot be computed. Nothing is changed.
    #[oai(path = "/evaluations/:evaluation_id/verify", method = "post", operation_id = "verify_evaluation")]
    async fn verify_evaluation(
        &self,
        caller: Caller,
        evaluation_id: Path<EvaluationId>,
    ) -> Result<Json<VerificationView>, Refusal> {
        let grant = caller.may(Permission::VerifyEvaluations)?;
        Ok(Json(self.receipts.verify(&grant, evaluation_id.0).await?.into()))
    }

    /// List the keys that sign receipts
    ///
    /// The public halves, newest first: the first one signs, the others check older receipts.
    #[oai(path = "/receipt-keys", method = "get", operation_id = "list_receipt_keys")]
    async fn list_receipt_keys(&self, caller: Caller) -> Result<Json<ReceiptKeysView>, Refusal> {
        let grant = caller.may(Permission::VerifyEvaluations)?;
        let keys = self.keys.list(&grant).await?;
        let newest = keys.first().map(|key| key.receipt_key_id);
        let view = |key: ReceiptKey| ReceiptKeyView { signs: newest == Some(key.receipt_key_id), ..key.into() };
        Ok(Json(ReceiptKeysView { keys: keys.into_iter().map(view).collect() }))
    }

    /// Replace the key that signs receipts
    ///
    /// A new key signs from now on; receipts of older ones still verify. 409 without a master key in the server's settings.
    #[oai(path = "/receipt-keys", method = "post", operation_id = "rotate_receipt_key")]
    async fn rotate_receipt_key(
        &self,
        caller: Caller,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
    ) -> Result<Created<ReceiptKeyView>, Refusal> {
        let grant = caller.may(Permission::ManageReceiptKeys)?;
        let keyed = key.0.request("rotate_receipt_key");
        let Once { value: made, replayed } = self.keys.rotate(&grant, &keyed).await?;
        let tag = ETag::of(made.receipt_key_id.0, made.generation);
        Ok(Created::of(replayed, "/api/receipt-keys".to_owned(), tag, made.into()))
    }
}

const UNSIGNED: &str = "the server had no master key when the evaluation was scored";

/// A receipt as it was signed.
#[derive(Object)]
#[oai(rename = "SignedReceipt")]
struct SignedReceiptView {
    /// The receipt: canonical JSON, exactly the bytes that are signed.
    payload: String,
    /// Ed25519 over the payload's UTF-8 bytes, in base64; null when the receipt is unsigned.
    #[oai(nullable)]
    signature: Option<String>,
    /// The public key: 32 bytes in base64. `list_receipt_keys` tells whether it is the tenant's.
    #[oai(nullable)]
    public_key: Option<String>,
    /// The key's id, which the payload names as `signed_by`.
    #[oai(nullable)]
    receipt_key_id: Option<ReceiptKeyId>,
    /// Why it is unsigned; null when it is signed.
    #[oai(nullable)]
    unsigned_because: Option<String>,
}

/// The keys that sign receipts.
#[derive(Object)]
#[oai(rename = "ReceiptKeys")]
struct ReceiptKeysView {
    /// Newest first; empty before the first signature.
    keys: Vec<ReceiptKeyView>,
}

/// A key that signs receipts.
#[derive(Object)]
#[oai(rename = "ReceiptKey")]
struct ReceiptKeyView {
    receipt_key_id: ReceiptKeyId,
    /// Counts from 1.
    generation: i32,
    /// Ed25519: 32 bytes in base64.
    public_key: String,
    /// Whether it signs now.
    signs: bool,
    /// Who made it.
    created_by: String,
    created_at: DateTime<Utc>,
}

impl From<ReceiptKey> for ReceiptKeyView {
    fn from(key: ReceiptKey) -> Self {
        let ReceiptKey { receipt_key_id, generation, public_key, created_by, created_at } = key;
        Self { receipt_key_id, generation, public_key, signs: true, created_by, created_at }
    }
}

/// An evaluation computed again.
#[derive(Object)]
#[oai(rename = "Verification")]
struct VerificationView {
    /// `differs` when any part does; `cannot_be_computed` when no part differs but the scores could not be computed, nobody signed the receipt, or
    /// the server cannot prove that the key is the tenant's.
    verdict: Finding,
    /// The overall score that the receipt names, 0 to 100.
    #[oai(nullable)]
    recorded_overall_score: Option<f64>,
    /// The overall score as it was computed again.
    #[oai(nullable)]
    overall_score: Option<f64>,
    /// Every part, in the order of the computation.
    parts: Vec<PartView>,
}

/// One part of an evaluation, computed again.
#[derive(Object)]
#[oai(rename = "VerificationPart")]
struct PartView {
    /// `signature`, `transcript`, `prompt`, `answers`, `scores`, `overall` and so on.
    part: String,
    finding: Finding,
    /// Why it differs or cannot be computed.
    #[oai(nullable)]
    why: Option<String>,
}

impl From<Report> for VerificationView {
    fn from(report: Report) -> Self {
        let points = |hundredths: u32| f64::from(hundredths) / 100.0;
        Self {
            verdict: report.verdict(),
            recorded_overall_score: report.recorded.map(points),
            overall_score: report.output.as_ref().and_then(|output| output.overall).map(points),
            parts: report.parts.into_iter().map(PartView::from).collect(),
        }
    }
}

impl From<Part> for PartView {
    fn from(Part { part, finding, why }: Part) -> Self {
        Self { part: part.to_owned(), finding, why }
    }
}
