//! The keys that sign receipts: a tenant has one that signs, and those before it, by which older receipts are checked. Private halves are
//! sealed with the installation's master key.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::{Receipt, bundle::SignedReceipt};
use crate::{
    foundation::{
        access::Grant,
        clock::Clock,
        crypto::{CryptoError, MasterKey, SigningKey},
        ids::ReceiptKeyId,
    },
    platform::{
        audit::audit,
        db::{Db, DbError, InTenant, Statements, TenantTx},
        http::{KeyError, Keyed, Kind, Once, Refusal, once},
    },
    sql,
};

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptKeyError {
    /// The server has no master key, so it can keep no secret.
    #[error("no master key is configured, so receipts cannot be signed")]
    NoMasterKey,
    /// The key cannot be unsealed, or the machine fails.
    #[error("the key that signs receipts: {0}")]
    Crypto(#[from] CryptoError),
    /// Somebody else made the next key at the same moment.
    #[error("somebody else replaced the key at the same moment")]
    Conflict,
    /// The idempotency key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ReceiptKeyError> for Refusal {
    fn from(error: ReceiptKeyError) -> Self {
        match error {
            ReceiptKeyError::NoMasterKey | ReceiptKeyError::Conflict => {
                Refusal::new(Kind::IllegalState, error.to_string())
            }
            ReceiptKeyError::Crypto(error) => Refusal::internal(&error),
            ReceiptKeyError::Key(error) => error.into(),
            ReceiptKeyError::Db(error) => error.into(),
        }
    }
}

/// A key as anybody may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptKey {
    /// Its id, which receipts name.
    pub receipt_key_id: ReceiptKeyId,
    /// Counts from 1; the highest signs.
    pub generation: i32,
    /// The public half: 32 bytes in base64.
    pub public_key: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A key as it is stored.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Its id.
    pub receipt_key_id: ReceiptKeyId,
    /// The public half.
    pub public_key: String,
    /// The private half, sealed.
    pub sealed: String,
}

/// The key that signs now.
#[derive(Debug)]
pub struct Signer {
    receipt_key_id: ReceiptKeyId,
    key: SigningKey,
}

impl Receipt {
    /// The receipt with its signature; unsigned without a signer.
    pub fn signed(&mut self, signer: Option<&Signer>) -> SignedReceipt {
        self.signed_by = signer.map(|signer| signer.receipt_key_id);
        let payload = self.payload();
        SignedReceipt {
            signature: signer.map(|signer| signer.key.sign(payload.as_bytes())),
            public_key: signer.map(|signer| signer.key.public_key()),
            payload,
        }
    }
}

/// Whoever signs for the grant's tenant: the newest key, which is made when there is none; nobody without a master key.
///
/// # Errors
/// [`ReceiptKeyError`], also when the newest key was sealed under another master key: nothing is left unsigned by mistake.
pub async fn signer(
    db: &Db,
    grant: &Grant,
    master: Option<&MasterKey>,
    newest: Option<&StoredKey>,
    now: DateTime<Utc>,
) -> Result<Option<Signer>, ReceiptKeyError> {
    let Some(master) = master else { return Ok(None) };
    if let Some(stored) = newest {
        return Ok(Some(unseal(master, stored)?));
    }
    let made = db.tenant(grant, "receipt_keys.first", async |tx| make(tx, master, 1, now).await).await;
    let lost = matches!(&made, Err(ReceiptKeyError::Conflict));
    if !lost {
        made?;
    }
    // Whoever else was faster: the one that is there.
    let row = db.alone(grant).one(sql!("evaluations/newest_receipt_key"), &[&grant.root()]).await?;
    Ok(Some(unseal(master, &stored(&row)?)?))
}

fn unseal(master: &MasterKey, stored: &StoredKey) -> Result<Signer, CryptoError> {
    let seed = master.open(&stored.sealed, &place(stored.receipt_key_id))?;
    let key = SigningKey::from_seed(&seed, &stored.public_key)?;
    Ok(Signer { receipt_key_id: stored.receipt_key_id, key })
}

/// Whether the stored private half makes the public one. Nobody without the master key can seal one, whatever else they may write.
///
/// # Errors
/// [`CryptoError::OtherMasterKey`] when that cannot be told; another one when it does not.
pub(super) fn proven(master: &MasterKey, stored: &StoredKey) -> Result<(), CryptoError> {
    unseal(master, stored).map(drop)
}

/// Where a private half is stored: what it is sealed for.
fn place(id: ReceiptKeyId) -> String {
    format!("receipt_keys/sealed_private_key/{id}")
}

async fn make(
    tx: &TenantTx<'_>,
    master: &MasterKey,
    generation: i32,
    now: DateTime<Utc>,
) -> Result<ReceiptKey, ReceiptKeyError> {
    let key = SigningKey::generate()?;
    let made = ReceiptKey {
        receipt_key_id: ReceiptKeyId::new(),
        generation,
        public_key: key.public_key(),
        created_by: tx.grant().actor().to_owned(),
        created_at: now.trunc_subsecs(6),
    };
    let sealed = master.seal(&key.seed()?, &place(made.receipt_key_id))?;
    let written = tx
        .execute(
            sql!("evaluations/insert_receipt_key"),
            &[
                &made.receipt_key_id,
                &tx.root(),
                &made.generation,
                &made.public_key,
                &sealed,
                &made.created_by,
                &made.created_at,
            ],
        )
        .await?;
    if written == 0 {
        return Err(ReceiptKeyError::Conflict);
    }
    let details = serde_json::json!({ "generation": generation, "public_key": made.public_key });
    audit(tx, "receipt_key.created", "receipt_key", Some(made.receipt_key_id.0), tx.root(), details).await?;
    Ok(made)
}

pub(in crate::product::evaluations) fn stored(row: &Row) -> Result<StoredKey, DbError> {
    Ok(StoredKey {
        receipt_key_id: row.try_get("receipt_key_id")?,
        public_key: row.try_get("receipt_public_key")?,
        sealed: row.try_get("sealed_private_key")?,
    })
}

/// The operations on keys. Cheap to clone.
#[derive(Clone)]
pub struct ReceiptKeys {
    /// The door to data.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Clock,
    /// What private halves are sealed with.
    pub master: Option<MasterKey>,
}

impl ReceiptKeys {
    /// Every key of the tenant, newest first.
    ///
    /// # Errors
    /// [`ReceiptKeyError::Db`].
    pub async fn list(&self, grant: &Grant) -> Result<Vec<ReceiptKey>, ReceiptKeyError> {
        let rows = self.db.alone(grant).all(sql!("evaluations/list_receipt_keys"), &[&grant.root()]).await?;
        let keys = rows.iter().map(|row| {
            Ok(ReceiptKey {
                receipt_key_id: row.try_get("receipt_key_id")?,
                generation: row.try_get("generation")?,
                public_key: row.try_get("public_key")?,
                created_by: row.try_get("created_by")?,
                created_at: row.try_get("created_at")?,
            })
        });
        Ok(keys.collect::<Result<_, DbError>>()?)
    }

    /// Makes the key that signs from now on; those before it still verify.
    ///
    /// # Errors
    /// [`ReceiptKeyError`].
    pub async fn rotate(&self, grant: &Grant, keyed: &Keyed) -> Result<Once<ReceiptKey>, ReceiptKeyError> {
        let master = self.master.as_ref().ok_or(ReceiptKeyError::NoMasterKey)?;
        let now = self.clock.now();
        self.db
            .tenant(grant, "receipt_keys.rotate", async |tx| {
                once(tx, keyed, now, async || {
                    let row = tx.one(sql!("evaluations/newest_receipt_key_generation"), &[&tx.root()]).await?;
                    let newest: i32 = row.try_get("generation").map_err(DbError::from)?;
                    make(tx, master, newest + 1, now).await
                })
                .await
            })
            .await
    }
}
