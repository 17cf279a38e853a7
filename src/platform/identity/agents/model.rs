//! The agent. No I/O.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    foundation::ids::{AgentId, OrganizationId, UserId},
    platform::{
        identity::MemberStatus,
        tenancy::{InvalidField, check_text},
    },
};

/// A person heard on calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub agent_id: AgentId,
    /// The organization whose calls the agent is heard on.
    pub organization_id: OrganizationId,
    /// What the agent can be told.
    pub profile: Profile,
    /// Whether the agent takes part.
    pub status: MemberStatus,
    /// Counts its changes.
    pub revision: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What can be changed of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The user that the agent signs in as.
    pub user_id: Option<UserId>,
    /// The agent's id elsewhere, unique in the organization.
    pub external_id: Option<String>,
    /// Name for people, 1 to 200 characters.
    pub display_name: String,
}

impl Profile {
    /// # Errors
    /// [`InvalidField`] with the first value that is not allowed.
    pub fn check(&self) -> Result<(), InvalidField> {
        check_text("display_name", &self.display_name, 200)?;
        match &self.external_id {
            Some(external_id) => check_text("external_id", external_id, 200),
            None => Ok(()),
        }
    }
}
