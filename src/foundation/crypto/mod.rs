//! Keys: what is sealed before it is stored, and what is signed so that others can check it. Everything of it is aws-lc's.

mod envelope;
mod signature;

pub use self::{
    envelope::MasterKey,
    signature::{SigningKey, verify},
};

/// Why a key does not do what it is asked. Says nothing of what it was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The master key is not 32 bytes in base64.
    #[error("the master key must be 32 bytes in base64 (`openssl rand -base64 32` makes one)")]
    MasterKey,
    /// Sealed under another master key.
    #[error("it was sealed under another master key, whose name is {0}")]
    OtherMasterKey(KeyName),
    /// What is sealed was changed, or belongs elsewhere.
    #[error("what is sealed was changed, or belongs elsewhere")]
    Sealed,
    /// A public key, a signature or a seed of the wrong form.
    #[error("the {0} has not the form of one")]
    Form(&'static str),
    /// The signature is not of this key over these bytes.
    #[error("the signature is not of this key over these bytes")]
    Signature,
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers")]
    Random,
}

/// Tells master keys apart: the first 8 bytes of the key's SHA-256, in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyName(pub(self) [u8; 16]);

impl std::fmt::Display for KeyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl std::fmt::Debug for KeyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyName({self})")
    }
}
