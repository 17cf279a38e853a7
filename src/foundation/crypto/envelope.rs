//! Sealing: AES-256-GCM under the installation's master key, bound to the place where the secret is stored.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

use super::{CryptoError, KeyName};
use crate::foundation::digest;

/// How every sealed text begins.
const VERSION: &str = "v1";

/// The key that seals the others. Cheap to clone; shows nothing of itself but its name.
#[derive(Clone)]
pub struct MasterKey {
    key: Arc<RandomizedNonceKey>,
    derivation: Prk,
    name: KeyName,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.name)
    }
}

impl MasterKey {
    /// The key that a setting holds: 32 bytes in base64.
    ///
    /// # Errors
    /// [`CryptoError::MasterKey`].
    pub fn parse(setting: &SecretString) -> Result<Self, CryptoError> {
        let bytes = STANDARD.decode(setting.expose_secret().trim()).map_err(|_| CryptoError::MasterKey)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| CryptoError::MasterKey)?;
        let mut name = [0; 16];
        name.copy_from_slice(&digest::of_bytes(&bytes).as_bytes()[..16]);
        let derivation = Salt::new(HKDF_SHA256, b"plumbline").extract(&bytes);
        Ok(Self { key: Arc::new(key), derivation, name: KeyName(name) })
    }

    /// A fresh key as a setting.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn generate() -> Result<SecretString, CryptoError> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CryptoError::Random)?;
        Ok(STANDARD.encode(bytes).into())
    }

    /// A key for one purpose (HKDF-SHA256): the same in every process of the installation, and nothing of it leads back to the master key.
    ///
    /// # Panics
    /// Never: 32 bytes can always be derived.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        let info = [purpose.as_bytes()];
        let filled = self.derivation.expand(&info, HKDF_SHA256).and_then(|derived| derived.fill(&mut key));
        filled.expect("32 bytes can be derived");
        key
    }

    /// Seals a secret for one place, `table/column/row`: `v1.<key name>.<base64 of nonce, ciphertext and tag>`.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn seal(&self, secret: &[u8], place: &str) -> Result<String, CryptoError> {
        let mut sealed = secret.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed);
        let mut out = nonce.map_err(|_| CryptoError::Random)?.as_ref().to_vec();
        out.append(&mut sealed);
        Ok(format!("{VERSION}.{}.{}", self.name, STANDARD.encode(out)))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`CryptoError::OtherMasterKey`], or [`CryptoError::Sealed`] when it was changed or stood elsewhere.
    pub fn open(&self, sealed: &str, place: &str) -> Result<Vec<u8>, CryptoError> {
        let mut parts = sealed.splitn(3, '.');
        let (Some(VERSION), Some(name), Some(content)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(CryptoError::Sealed);
        };
        let name = KeyName(name.as_bytes().try_into().map_err(|_| CryptoError::Sealed)?);
        if name != self.name {
            return Err(CryptoError::OtherMasterKey(name));
        }
        let mut content = STANDARD.decode(content).map_err(|_| CryptoError::Sealed)?;
        let (nonce, content) = content.split_at_mut_checked(NONCE_LEN).ok_or(CryptoError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::Sealed)?;
        let opened = self.key.open_in_place(nonce, Aad::from(place.as_bytes()), content);
        Ok(opened.map_err(|_| CryptoError::Sealed)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        let key = MasterKey::parse(&MasterKey::generate().unwrap()).unwrap();
        let sealed = key.seal(b"a seed", "receipt_keys/sealed_private_key/1").unwrap();
        assert_eq!(key.open(&sealed, "receipt_keys/sealed_private_key/1").unwrap(), b"a seed");
        assert_eq!(key.open(&sealed, "receipt_keys/sealed_private_key/2"), Err(CryptoError::Sealed));
        assert_ne!(sealed, key.seal(b"a seed", "receipt_keys/sealed_private_key/1").unwrap(), "a nonce of its own");
        let other = MasterKey::parse(&MasterKey::generate().unwrap()).unwrap();
        assert!(matches!(
            other.open(&sealed, "receipt_keys/sealed_private_key/1"),
            Err(CryptoError::OtherMasterKey(name)) if name == key.name
        ));
    }

    #[test]
    fn no_byte_of_it_may_change() {
        let key = MasterKey::parse(&MasterKey::generate().unwrap()).unwrap();
        let sealed = key.seal(b"a seed", "here").unwrap();
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(key.open(&changed, "here").is_err(), "byte {at}");
            assert!(key.open(&sealed[..at], "here").is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_derived_key_belongs_to_its_purpose_and_its_master() {
        let setting = MasterKey::generate().unwrap();
        let (key, same) = (MasterKey::parse(&setting).unwrap(), MasterKey::parse(&setting).unwrap());
        let other = MasterKey::parse(&MasterKey::generate().unwrap()).unwrap();
        assert_eq!(key.derive("one"), same.derive("one"));
        assert_ne!(key.derive("one"), key.derive("other"));
        assert_ne!(key.derive("one"), other.derive("one"));
    }

    #[test]
    fn what_is_no_master_key_is_refused() {
        for wrong in ["", "secret", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(MasterKey::parse(&wrong.to_owned().into()).unwrap_err(), CryptoError::MasterKey, "{wrong:?}");
        }
    }
}
