//! Tenants, organizations, agents, scorecards and the plugin, as the demo's content has them.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use url::Url;

use super::{
    DemoError,
    client::{ApiClient, text},
    content::{self, DemoOrganization, DemoTenant},
    issuer::{DevIssuer, TokenRequest},
};
use crate::{
    app::App,
    foundation::{
        access::{Grant, Permission},
        ids::{OrganizationId, TenantId},
    },
    platform::tenancy::quotas::Quotas,
    product::plugins::{
        binding::{self, NewBinding},
        model::FailurePolicy,
    },
};

/// The demo's tokens outlive a long look around.
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3_600);

/// The realm of the people who run Plumbline.
pub const OPERATORS: &str = "plumbline-operators";

/// A tenant that is there.
pub struct Settled {
    /// Short name.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// A tenant admin.
    pub admin: ApiClient,
    /// Organization slug → id.
    pub organizations: HashMap<String, String>,
    /// (organization slug, agent key) → id and name.
    pub agents: HashMap<(String, String), (String, String)>,
    /// Somebody who is an agent and sees own calls alone: name and token.
    pub agent: (String, String),
    id: TenantId,
    root: OrganizationId,
}

/// Makes one tenant with all that belongs to it, as an operator does: asked for by API, made by its operation.
pub async fn settle(
    tenant: &DemoTenant,
    operator: &ApiClient,
    issuer: &DevIssuer,
    api: &Url,
) -> Result<Settled, DemoError> {
    let wanted = json!({
        "slug": tenant.slug,
        "name": tenant.name,
        "issuer": issuer.open_realm(&tenant.slug)?,
        "admin": { "subject": "admin", "display_name": format!("{} admin", tenant.name) },
    });
    let asked = operator.post("/api/tenants", &wanted).await?;
    provisioned(operator, &text(&asked["operation"], "operation_id")?).await?;
    let id = text(&asked["tenant"], "tenant_id")?.parse().map_err(|_| DemoError::Unexpected("tenant_id"))?;
    let root = text(&asked["tenant"], "root_organization_id")?;
    let root = root.parse().map_err(|_| DemoError::Unexpected("root_organization_id"))?;
    let admin = ApiClient::new(api.clone(), token(issuer, &tenant.slug, "admin", "tenant_admin", &[])?)?;
    let mut settled = Settled {
        slug: tenant.slug.clone(),
        name: tenant.name.clone(),
        admin,
        organizations: HashMap::new(),
        agents: HashMap::new(),
        agent: (String::new(), String::new()),
        id,
        root,
    };
    for organization in &tenant.organizations {
        settled.organization(organization).await?;
    }
    let first = &tenant.organizations[0];
    settled.sign_in_as_agent(issuer, first).await?;
    Ok(settled)
}

/// Somebody who runs Plumbline.
pub fn operator(issuer: &DevIssuer, api: &Url) -> Result<ApiClient, DemoError> {
    ApiClient::new(api.clone(), token(issuer, OPERATORS, "olga", "platform_operator", &[])?)
}

/// Waits until the operation has made the tenant.
async fn provisioned(operator: &ApiClient, operation_id: &str) -> Result<(), DemoError> {
    loop {
        let operation = operator.get(&format!("/api/operations/{operation_id}")).await?;
        match operation["status"].as_str() {
            Some("succeeded") => return Ok(()),
            Some("waiting" | "running") => tokio::time::sleep(Duration::from_millis(100)).await,
            _ => return Err(DemoError::Provisioning(operation["error"]["reason"].to_string())),
        }
    }
}

fn token(
    issuer: &DevIssuer,
    realm: &str,
    subject: &str,
    role: &str,
    organizations: &[String],
) -> Result<String, DemoError> {
    let request = TokenRequest {
        subject: subject.to_owned(),
        roles: vec![role.to_owned()],
        organizations: organizations.to_vec(),
        audience: "plumbline".to_owned(),
        lifetime: TOKEN_LIFETIME,
    };
    Ok(issuer.token(realm, &request)?)
}

impl Settled {
    async fn organization(&mut self, organization: &DemoOrganization) -> Result<(), DemoError> {
        let body = json!({ "slug": organization.slug, "name": organization.name });
        let id = text(&self.admin.post("/api/organizations", &body).await?, "organization_id")?;
        for agent in &organization.agents {
            let body = json!({ "organization_id": id, "display_name": agent.name, "external_id": agent.key });
            let agent_id = text(&self.admin.post("/api/agents", &body).await?, "agent_id")?;
            let key = (organization.slug.clone(), agent.key.clone());
            self.agents.insert(key, (agent_id, agent.name.clone()));
        }
        self.admin.publish(&id, &organization.scorecard).await?;
        self.organizations.insert(organization.slug.clone(), id);
        Ok(())
    }

    /// A user who is one of the agents, so that it can be seen what agents see.
    async fn sign_in_as_agent(&mut self, issuer: &DevIssuer, organization: &DemoOrganization) -> Result<(), DemoError> {
        let Some(agent) = organization.agents.first() else { return Ok(()) };
        let organization_id = &self.organizations[&organization.slug];
        let body = json!({ "organization_id": organization_id, "subject": agent.key, "display_name": agent.name });
        let user_id = text(&self.admin.post("/api/users", &body).await?, "user_id")?;
        let (agent_id, name) = &self.agents[&(organization.slug.clone(), agent.key.clone())];
        self.admin.link(agent_id, &user_id).await?;
        let token = token(issuer, &self.slug, &agent.key, "agent", std::slice::from_ref(&organization.slug))?;
        self.agent = (name.clone(), token);
        Ok(())
    }

    /// Lets the example plugin score an organization.
    #[allow(clippy::disallowed_methods, reason = "the demo provisions")]
    pub async fn bind_plugin(&self, app: &App, organization: &str) -> Result<(), DemoError> {
        let id: OrganizationId =
            self.organizations[organization].parse().map_err(|_| DemoError::Unexpected("organization_id"))?;
        let grant = Grant::system(self.id, self.root, id, "demo", Permission::ManagePlugins);
        let new = NewBinding {
            organization: id,
            component: Bytes::from_static(content::plugin()),
            settings: json!({ "longest_turn_words": 45, "deduct_hundredths": 250, "deduct_at_most_hundredths": 1000 }),
            policy: FailurePolicy::FallBack,
        };
        let means = app.means();
        let now = means.clock.now();
        let quotas = Quotas::default();
        binding::bind(app.db(), app.objects().as_ref(), &means.plugins, &grant, &quotas, new, now).await?;
        Ok(())
    }

    /// Uploads a conversation; returns the call's id.
    pub async fn upload(&self, conversation: &content::DemoConversation) -> Result<String, DemoError> {
        let organization_id = &self.organizations[&conversation.organization];
        let (agent_id, _) = &self.agents[&(conversation.organization.clone(), conversation.agent.clone())];
        let call: Value = match &conversation.audio {
            Some(audio) => {
                let fields = [
                    ("organization_id", organization_id.as_str()),
                    ("agent_id", agent_id),
                    ("external_id", &conversation.key),
                    ("language", &conversation.language),
                ];
                self.admin.upload(&fields, content::recording(audio)).await?
            }
            None => {
                let body = json!({
                    "organization_id": organization_id,
                    "agent_id": agent_id,
                    "external_id": conversation.key,
                    "channel": conversation.channel,
                    "language": conversation.language,
                    "utterances": conversation.utterances,
                });
                self.admin.post("/api/calls", &body).await?
            }
        };
        text(&call, "call_id")
    }
}
