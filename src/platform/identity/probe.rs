//! A look at an issuer before it becomes a tenant's: reachable, who it says that it is, and with keys that tokens can be checked by.

use super::discovery::{Discovery, DiscoveryError};

/// Why an issuer cannot be a tenant's.
#[derive(Debug, thiserror::Error)]
pub enum IssuerFault {
    /// It did not answer as it should; it may later.
    #[error("{0}")]
    Away(String),
    /// What it publishes will not do.
    #[error("{0}")]
    Unusable(String),
}

/// Looks at issuers, and keeps nothing.
pub struct IssuerProbe {
    discovery: Discovery,
    trust_development: bool,
}

impl IssuerProbe {
    /// # Errors
    /// When the machine's certificates cannot be read.
    pub fn new(trust_development: bool) -> Result<Self, reqwest::Error> {
        Ok(Self { discovery: Discovery::new()?, trust_development })
    }

    /// How many keys the issuer publishes that tokens can be checked by: at least one.
    ///
    /// # Errors
    /// [`IssuerFault`].
    pub async fn look(&self, issuer: &str) -> Result<usize, IssuerFault> {
        let published = self.discovery.read(issuer).await.map_err(|error| match &error {
            DiscoveryError::Status(_) | DiscoveryError::Unreachable(_) => IssuerFault::Away(error.to_string()),
            _ => IssuerFault::Unusable(error.to_string()),
        })?;
        if published.development && !self.trust_development {
            return Err(IssuerFault::Unusable("it is for development, and the settings trust none such".to_owned()));
        }
        match published.keys.len() {
            0 => Err(IssuerFault::Unusable("it publishes no key that tokens can be checked by".to_owned())),
            keys => Ok(keys),
        }
    }
}
