//! `/api/agents`: a handler asks for a grant, calls one operation, and answers with a view.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
    types::MaybeUndefined,
};

use super::{
    AgentError, Agents,
    model::{Agent, Profile},
};
use crate::{
    foundation::{
        access::{Caller, Permission},
        ids::{AgentId, OrganizationId, UserId},
    },
    platform::{
        http::{
            Created, Cursor, Fresh, IdempotencyKey, IfMatch, IfNoneMatch, Kind, Limit, Listing, Once, Page, Position,
            Problem, Refusal, Tagged, etag::stale,
        },
        identity::MemberStatus,
    },
};

#[derive(Tags)]
enum Tag {
    /// The people heard on calls.
    Agents,
}

/// The operations on agents.
pub struct AgentsApi {
    /// What they work on.
    pub agents: Agents,
}

#[OpenApi(prefix_path = "/api/agents", tag = "Tag::Agents")]
impl AgentsApi {
    /// Create an agent
    ///
    /// With a user linked, whoever signs in as that user with the role `agent` sees the agent's calls.
    #[oai(path = "/", method = "post", operation_id = "create_agent")]
    async fn create_agent(
        &self,
        caller: Caller,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        new: Json<NewAgentBody>,
    ) -> Result<Created<AgentView>, Refusal> {
        let grant = caller.may(Permission::ManageAgents)?;
        let keyed = key.0.request("create_agent").with(&new.0);
        let NewAgentBody { organization_id, user_id, external_id, display_name } = new.0;
        let Once { value: made, replayed } =
            self.agents.create(&grant, &keyed, organization_id, Profile { user_id, external_id, display_name }).await?;
        Ok(Created::of(replayed, format!("/api/agents/{}", made.agent_id), made.etag(), made.into()))
    }

    /// List agents
    ///
    /// Those of the organizations that the caller reaches, or of one of them, newest first.
    #[oai(path = "/", method = "get", operation_id = "list_agents")]
    async fn list_agents(
        &self,
        caller: Caller,
        organization_id: Query<Option<OrganizationId>>,
        limit: Query<Limit>,
        cursor: Query<Cursor>,
    ) -> Result<Json<Page<AgentView>>, Refusal> {
        let grant = caller.may(Permission::ReadAgents)?;
        let listing = Listing::new("list_agents", &organization_id.0, limit.0, &cursor.0)?;
        let found = self.agents.list(&grant, organization_id.0, &listing).await?;
        Ok(Json(listing.page(found, |agent| Position::new(agent.created_at, agent.agent_id.0), AgentView::from)))
    }

    /// Get an agent
    ///
    /// 404 also for one of an organization that the caller does not belong to.
    #[oai(path = "/:agent_id", method = "get", operation_id = "get_agent")]
    async fn get_agent(
        &self,
        caller: Caller,
        agent_id: Path<AgentId>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<AgentView>, Refusal> {
        let grant = caller.may(Permission::ReadAgents)?;
        let found = self.agents.get(&grant, agent_id.0).await?;
        Ok(known.answer(found.etag(), || found.into()))
    }

    /// Change an agent
    ///
    /// Send `If-Match` with the `ETag` of what was read. Fields that are absent stay; `null` empties one.
    #[oai(path = "/:agent_id", method = "patch", operation_id = "update_agent")]
    async fn update_agent(
        &self,
        caller: Caller,
        agent_id: Path<AgentId>,
        #[oai(name = "If-Match")] expected: Header<IfMatch>,
        change: Json<AgentChangeBody>,
    ) -> Result<Tagged<AgentView>, Refusal> {
        let grant = caller.may(Permission::ManageAgents)?;
        expected.required()?;
        let changed = self.agents.update(&grant, agent_id.0, &expected.0, |profile| change.0.apply(profile)).await?;
        Ok(Tagged::of(changed.etag(), changed.into()))
    }

    /// Deactivate an agent
    ///
    /// What was heard of the agent is kept. A linked user sees own calls no more: here at once, at other servers within 30 seconds.
    #[oai(path = "/:agent_id/deactivate", method = "post", operation_id = "deactivate_agent")]
    async fn deactivate_agent(&self, caller: Caller, agent_id: Path<AgentId>) -> Result<Tagged<AgentView>, Refusal> {
        let grant = caller.may(Permission::ManageAgents)?;
        let changed = self.agents.deactivate(&grant, agent_id.0).await?;
        Ok(Tagged::of(changed.etag(), changed.into()))
    }
}

/// An agent to be made.
#[derive(Object)]
#[oai(rename = "NewAgent", deny_unknown_fields)]
struct NewAgentBody {
    /// The organization that the agent belongs to.
    organization_id: OrganizationId,
    /// The user that the agent signs in as; of an organization that the caller reaches.
    user_id: Option<UserId>,
    /// The agent's id elsewhere, such as in the telephone system; unique in the organization.
    #[oai(validator(min_length = 1, max_length = 200))]
    external_id: Option<String>,
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: String,
}

/// What can be changed of an agent; absent fields stay.
#[derive(Object)]
#[oai(rename = "AgentChange", deny_unknown_fields)]
struct AgentChangeBody {
    /// The user that the agent signs in as; of an organization that the caller reaches.
    user_id: MaybeUndefined<UserId>,
    /// The agent's id elsewhere, such as in the telephone system; unique in the organization.
    external_id: MaybeUndefined<String>,
    /// Name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    display_name: Option<String>,
}

impl AgentChangeBody {
    fn apply(self, profile: &mut Profile) {
        if !self.user_id.is_undefined() {
            profile.user_id = self.user_id.take();
        }
        if !self.external_id.is_undefined() {
            profile.external_id = self.external_id.take();
        }
        if let Some(display_name) = self.display_name {
            profile.display_name = display_name;
        }
    }
}

/// An agent as the API shows it.
#[derive(Object)]
#[oai(rename = "Agent")]
struct AgentView {
    /// Its id.
    agent_id: AgentId,
    /// The organization that the agent belongs to.
    organization_id: OrganizationId,
    /// The user that the agent signs in as.
    #[oai(nullable)]
    user_id: Option<UserId>,
    /// The agent's id elsewhere.
    #[oai(nullable)]
    external_id: Option<String>,
    /// Name for people.
    display_name: String,
    /// Whether the agent takes part.
    status: MemberStatus,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl From<Agent> for AgentView {
    fn from(agent: Agent) -> Self {
        let Agent { agent_id, organization_id, profile, status, revision: _, created_at, updated_at } = agent;
        let Profile { user_id, external_id, display_name } = profile;
        Self { agent_id, organization_id, user_id, external_id, display_name, status, created_at, updated_at }
    }
}

impl From<AgentError> for Refusal {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::NotFound => Refusal::not_found("agent"),
            AgentError::NoOrganization => Refusal::invalid("organization_id", "no such organization"),
            AgentError::NoUser => Refusal::invalid("user_id", "no such user"),
            AgentError::UserTaken => Problem::new(Kind::Conflict, "the user is linked to another agent")
                .field("user_id", "is linked to another agent")
                .into(),
            AgentError::ExternalIdTaken => {
                Problem::new(Kind::Conflict, "the external id is taken").field("external_id", "is taken").into()
            }
            AgentError::Stale => stale(),
            AgentError::Invalid(invalid) => Refusal::invalid(invalid.field, invalid.message),
            AgentError::Key(error) => error.into(),
            AgentError::Db(error) => error.into(),
        }
    }
}
