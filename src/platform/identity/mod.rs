//! Who is calling: a bearer token becomes a [`Caller`](crate::foundation::access::Caller), and a tenant's users and agents are kept.

pub mod agents;
pub mod users;

mod authenticator;
mod bearer;
mod claims;
mod discovery;
mod keys;
mod members;
mod probe;
mod token;
mod verified;

pub use self::{
    authenticator::{AuthError, Authenticator},
    keys::{IssuerKeys, KeysError},
    members::{Member, MemberStatus, Members},
    probe::{IssuerFault, IssuerProbe},
    token::{DevelopmentTrustRefused, TokenRules, trust_development_issuer},
};
