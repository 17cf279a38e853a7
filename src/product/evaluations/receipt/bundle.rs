//! A receipt with everything that it was made of, as one document that can be checked far from the server.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Receipt;
use crate::{
    foundation::{
        crypto::{self, CryptoError},
        digest,
    },
    platform::plugins::Utterance,
    product::{calls::redaction::Replaced, evaluations::questions::HumanAnswer, scorecards::model::Definition},
};

/// What a bundle says that it is.
pub const KIND: &str = "plumbline-receipt-bundle";

/// A receipt as it was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedReceipt {
    /// The receipt's canonical JSON: exactly the bytes that are signed.
    pub payload: String,
    /// Ed25519 over the payload's UTF-8 bytes, in base64; none when it is unsigned.
    pub signature: Option<String>,
    /// The public key, in base64; none when it is unsigned.
    pub public_key: Option<String>,
}

impl SignedReceipt {
    /// What the payload says.
    ///
    /// # Errors
    /// [`BundleError`] when it is no receipt, or not in the canonical spelling.
    pub fn receipt(&self) -> Result<Receipt, BundleError> {
        let receipt: Receipt =
            serde_json::from_str(&self.payload).map_err(|_| BundleError::Shape("receipt.payload"))?;
        if receipt.payload() == self.payload { Ok(receipt) } else { Err(BundleError::Spelling("receipt.payload")) }
    }

    /// Whether the signature is its key's over the payload; `None` when there is none.
    pub fn checked(&self) -> Option<Result<(), CryptoError>> {
        match (&self.signature, &self.public_key) {
            (None, None) => None,
            (Some(signature), Some(key)) => Some(crypto::verify(key, self.payload.as_bytes(), signature)),
            (Some(_), None) => Some(Err(CryptoError::Form("public key"))),
            (None, Some(_)) => Some(Err(CryptoError::Form("signature"))),
        }
    }
}

/// A receipt with everything that it was made of, but for recordings and plugins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`KIND`].
    pub kind: String,
    /// The receipt.
    pub receipt: SignedReceipt,
    /// The transcript without personal data, in order.
    pub transcript: Vec<Utterance>,
    /// What the redaction replaced in it.
    pub redaction: Replaced,
    /// Conversation metrics: the whole numbers among them, sorted by key.
    pub metrics: Vec<(String, i64)>,
    /// The scorecard version's definition.
    pub scorecard: Definition,
    /// The scorecard version's number.
    pub scorecard_version: u32,
    /// What the language model said.
    pub raw_answer: String,
    /// What people answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub human_answers: Vec<HumanAnswer>,
    /// Settings of the plugin that scored; none for the built-in scorer.
    pub scorer_settings: Option<Value>,
    /// Settings of the plugin that built the prompt; none for the built-in one.
    pub prompt_settings: Option<Value>,
}

/// Why a document is no bundle. Says nothing of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not JSON, or not of the shape.
    #[error("{0} does not have the shape of one")]
    Shape(&'static str),
    /// JSON of the right shape, but not in the one canonical spelling.
    #[error("{0} is not in the canonical spelling: it was changed after it was made")]
    Spelling(&'static str),
}

impl Bundle {
    /// The bundle's canonical JSON: what is given out, and the only spelling that is taken back.
    pub fn document(&self) -> String {
        digest::canonical(&serde_json::to_value(self).expect("maps of the product have string keys"))
    }

    /// Reads a bundle and its receipt. One line feed at the end is allowed; any other byte that differs from the canonical spelling is not.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn read(bytes: &[u8]) -> Result<(Self, Receipt), BundleError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bundle: Self = serde_json::from_slice(bytes).map_err(|_| BundleError::Shape("the bundle"))?;
        if bundle.kind != KIND {
            return Err(BundleError::Shape("the bundle"));
        }
        if bundle.document().as_bytes() != bytes {
            return Err(BundleError::Spelling("the bundle"));
        }
        let receipt = bundle.receipt.receipt()?;
        Ok((bundle, receipt))
    }
}
