//! Signatures: Ed25519 (RFC 8032). Keys and signatures are shown in base64, with padding.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::CryptoError;

/// A private key that signs. Shows its public half alone.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public_key())
    }
}

impl SigningKey {
    /// A fresh key.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn generate() -> Result<Self, CryptoError> {
        Ed25519KeyPair::generate().map(Self).map_err(|_| CryptoError::Random)
    }

    /// The key of a seed, whose public half is known: a seed of another key is refused.
    ///
    /// # Errors
    /// [`CryptoError::Form`].
    pub fn from_seed(seed: &[u8], public_key: &str) -> Result<Self, CryptoError> {
        let public = STANDARD.decode(public_key).map_err(|_| CryptoError::Form("public key"))?;
        Ed25519KeyPair::from_seed_and_public_key(seed, &public).map(Self).map_err(|_| CryptoError::Form("private key"))
    }

    /// The 32 bytes that the key is made of: to be sealed, and for nothing else.
    ///
    /// # Errors
    /// [`CryptoError::Form`], for a key that holds none.
    pub fn seed(&self) -> Result<Vec<u8>, CryptoError> {
        use aws_lc_rs::encoding::AsBigEndian;

        let seed = self.0.seed().map_err(|_| CryptoError::Form("private key"))?;
        let bytes = seed.as_be_bytes().map_err(|_| CryptoError::Form("private key"))?;
        Ok(bytes.as_ref().to_vec())
    }

    /// The public half: 32 bytes in base64.
    pub fn public_key(&self) -> String {
        STANDARD.encode(self.0.public_key().as_ref())
    }

    /// The signature over the bytes: 64 bytes in base64.
    pub fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(message).as_ref())
    }
}

/// Whether the signature is of this key over these bytes.
///
/// # Errors
/// [`CryptoError::Form`] or [`CryptoError::Signature`].
pub fn verify(public_key: &str, message: &[u8], signature: &str) -> Result<(), CryptoError> {
    let key = STANDARD.decode(public_key).map_err(|_| CryptoError::Form("public key"))?;
    let signature = STANDARD.decode(signature).map_err(|_| CryptoError::Form("signature"))?;
    UnparsedPublicKey::new(&ED25519, key).verify(message, &signature).map_err(|_| CryptoError::Signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_over_one_message() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_seed(&key.seed().unwrap(), &key.public_key()).unwrap();
        let signature = again.sign(b"a receipt");
        assert_eq!(verify(&key.public_key(), b"a receipt", &signature), Ok(()));
        assert_eq!(verify(&key.public_key(), b"a receipu", &signature), Err(CryptoError::Signature));
        let other = SigningKey::generate().unwrap();
        assert_eq!(verify(&other.public_key(), b"a receipt", &signature), Err(CryptoError::Signature));
        assert!(SigningKey::from_seed(&key.seed().unwrap(), &other.public_key()).is_err());
        assert_eq!(verify("no key", b"", &signature), Err(CryptoError::Form("public key")));
        assert_eq!(verify(&key.public_key(), b"", "none"), Err(CryptoError::Signature));
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn it_is_the_ed25519_of_the_rfc() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
        };
        let seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let public = STANDARD.encode(hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
        let signature = STANDARD.encode(hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ));
        assert_eq!(SigningKey::from_seed(&seed, &public).unwrap().sign(&[0x72]), signature);
        assert_eq!(verify(&public, &[0x72], &signature), Ok(()));
    }
}
