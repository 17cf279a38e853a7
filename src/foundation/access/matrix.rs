//! The matrix of roles and permissions. `tests/golden/permissions.md` shows it to people; a test keeps the two equal.

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($(#[$meta:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// One thing that a caller may be allowed to do: a verb and a noun.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission { $($(#[$meta])* $variant),+ }

        impl Permission {
            /// All of them, in the order of the matrix.
            pub const ALL: &[Permission] = &[$(Permission::$variant),+];

            /// `read-calls` and the like: stable, shown in problems and documents.
            pub fn name(self) -> &'static str {
                match self { $(Permission::$variant => $name),+ }
            }
        }
    };
}

permissions! {
    /// See organizations.
    ReadOrganizations = "read-organizations",
    /// Create, change and deactivate organizations.
    ManageOrganizations = "manage-organizations",
    /// See users.
    ReadUsers = "read-users",
    /// Create, change and deactivate users.
    ManageUsers = "manage-users",
    /// See agents.
    ReadAgents = "read-agents",
    /// Create, change and deactivate agents.
    ManageAgents = "manage-agents",
    /// Upload recordings and written conversations.
    UploadCalls = "upload-calls",
    /// See calls and their transcripts.
    ReadCalls = "read-calls",
    /// See transcripts with all personal data.
    RevealTranscripts = "reveal-transcripts",
    /// Listen to recordings.
    ListenCalls = "listen-calls",
    /// Run a failed call again.
    RetryCalls = "retry-calls",
    /// See evaluation criteria.
    ReadScorecards = "read-scorecards",
    /// Draft and publish evaluation criteria.
    ManageScorecards = "manage-scorecards",
    /// See evaluations and analyses.
    ReadEvaluations = "read-evaluations",
    /// Compute evaluations again, and fetch the bundles by which others do.
    VerifyEvaluations = "verify-evaluations",
    /// Replace the key that signs receipts.
    ManageReceiptKeys = "manage-receipt-keys",
    /// Evaluate many calls under another scorecard version.
    RescoreCalls = "rescore-calls",
    /// Correct transcripts.
    CorrectTranscripts = "correct-transcripts",
    /// Answer criteria that wait for a person.
    AnswerCriteria = "answer-criteria",
    /// See what evaluations cost.
    ReadCosts = "read-costs",
    /// Run the pipeline's stages.
    EvaluateCalls = "evaluate-calls",
    /// See waiting and dead jobs.
    ReadJobs = "read-jobs",
    /// Bring dead jobs back.
    RetryJobs = "retry-jobs",
    /// Read the audit log.
    ReadAudit = "read-audit",
    /// See plugins, their use by organizations, and what came of their runs.
    ReadPlugins = "read-plugins",
    /// Upload plugins and bind them to organizations.
    ManagePlugins = "manage-plugins",
    /// Create, suspend, resume, restore and end tenants, and bring their schemas to new versions.
    ManageTenants = "manage-tenants",
    /// See how a tenant stands: its status, usage, quotas, operations and isolation.
    ReadTenant = "read-tenant",
    /// Ask for the archive of all that a tenant has.
    ExportTenant = "export-tenant",
    /// Fetch that archive: it holds every call.
    DownloadArchives = "download-archives",
}

/// A named set of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs Plumbline for its tenants; sees no tenant's calls.
    PlatformOperator,
    /// Everything inside one tenant, in every organization.
    TenantAdmin,
    /// A QA manager: everything inside their organizations.
    OrganizationAdmin,
    /// Reviews evaluations.
    Evaluator,
    /// Leads agents to better calls.
    Coach,
    /// Hears and reads their own calls.
    Agent,
    /// Reads everything, changes nothing.
    Auditor,
}

impl Role {
    /// All of them, in the order of the matrix.
    pub const ALL: &[Role] = &[
        Role::PlatformOperator,
        Role::TenantAdmin,
        Role::OrganizationAdmin,
        Role::Evaluator,
        Role::Coach,
        Role::Agent,
        Role::Auditor,
    ];

    /// `tenant_admin` and the like, as tokens carry it.
    pub fn name(self) -> &'static str {
        match self {
            Role::PlatformOperator => "platform_operator",
            Role::TenantAdmin => "tenant_admin",
            Role::OrganizationAdmin => "organization_admin",
            Role::Evaluator => "evaluator",
            Role::Coach => "coach",
            Role::Agent => "agent",
            Role::Auditor => "auditor",
        }
    }

    /// The role of that name; tokens carry roles of other applications too, which are none of ours.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.name() == name)
    }

    /// Whether the role holds the permission.
    pub fn may(self, permission: Permission) -> bool {
        use Permission::*;
        match self {
            Role::PlatformOperator => matches!(permission, ManageTenants | ReadTenant | ExportTenant),
            Role::TenantAdmin => !matches!(permission, ManageTenants | EvaluateCalls),
            Role::OrganizationAdmin => {
                matches!(
                    permission,
                    UploadCalls
                        | AnswerCriteria
                        | RetryCalls
                        | RetryJobs
                        | ManageAgents
                        | ManageScorecards
                        | RescoreCalls
                        | CorrectTranscripts
                        | RevealTranscripts
                ) || reads(permission)
            }
            Role::Evaluator => {
                matches!(
                    permission,
                    UploadCalls | RetryCalls | RevealTranscripts | CorrectTranscripts | AnswerCriteria | ReadPlugins
                ) || sees_calls(permission)
            }
            Role::Coach => sees_calls(permission),
            Role::Agent => matches!(permission, ReadCalls | ListenCalls | ReadEvaluations),
            Role::Auditor => matches!(permission, ReadTenant) || reads(permission),
        }
    }

    /// Whether the role reaches every organization of the tenant, whatever the token lists.
    pub fn reaches_every_organization(self) -> bool {
        matches!(self, Role::TenantAdmin | Role::Auditor)
    }
}

fn sees_calls(permission: Permission) -> bool {
    use Permission::*;
    matches!(
        permission,
        ReadOrganizations | ReadAgents | ReadCalls | ListenCalls | ReadScorecards | ReadEvaluations | VerifyEvaluations
    )
}

fn reads(permission: Permission) -> bool {
    use Permission::*;
    sees_calls(permission) || matches!(permission, ReadUsers | ReadJobs | ReadAudit | ReadCosts | ReadPlugins)
}
