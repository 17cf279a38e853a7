//! Identifiers: a type each, so that a call id cannot be passed where an agent id is meant, and UUIDv7, so that they sort by time.

use poem_openapi::NewType;
use postgres_types::{FromSql, ToSql};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, NewType, ToSql, FromSql, Serialize, Deserialize,
        )]
        #[postgres(transparent)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh id that sorts after those made before it.
            #[allow(clippy::new_without_default, clippy::disallowed_methods, reason = "the one place that makes ids")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// A customer company.
    TenantId,
    /// A unit inside a tenant: the scope of row security.
    OrganizationId,
    /// A login of a tenant.
    UserId,
    /// The person heard on the call.
    AgentId,
    /// One recorded or written conversation.
    CallId,
    /// A stored recording.
    AudioFileId,
    /// An organization's evaluation criteria, through all their versions.
    ScorecardId,
    /// One immutable published version of a scorecard.
    ScorecardVersionId,
    /// A scorecard version applied to a call.
    EvaluationId,
    /// Queued work.
    JobId,
    /// One entry of the audit log.
    AuditEventId,
    /// One holder's timed claim on a job.
    LeaseToken,
    /// The use of a plugin by an organization.
    BindingId,
    /// One run of a plugin, as its author sees it.
    PluginRunId,
    /// A long-running request.
    OperationId,
    /// A key that signs receipts.
    ReceiptKeyId,
    /// Calls under another scorecard version.
    RescoreId,
    /// A plugin version over many stored evaluations.
    BacktestId,
}
