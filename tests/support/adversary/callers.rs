//! Everybody who asks: each role in each tenant, people of no organization, people of two roles, those who were sent away, and strangers.

use std::{collections::BTreeSet, time::Duration};

use plumbline::{demo::issuer::TokenRequest, foundation::access::Role};
use uuid::Uuid;

use super::{caller::Caller, world::World};
use crate::support::TestTenant;

/// Roles, organizations and subject of one caller.
struct Who<'a> {
    name: &'a str,
    subject: String,
    roles: &'a [&'a str],
    groups: Vec<String>,
    /// What it reaches, and where it may change anything.
    reaches: Vec<Uuid>,
    changes: Vec<Uuid>,
    agent: Option<Uuid>,
}

/// All callers of the world.
pub async fn all(world: &World) -> Vec<Caller> {
    let mut callers = vec![
        Caller { name: "anybody".to_owned(), ..Caller::default() },
        Caller { name: "a forger".to_owned(), token: Some("e30.e30.e30".to_owned()), ..Caller::default() },
        Caller {
            name: "operator".to_owned(),
            token: world.app.operator().token,
            actor: "operator:olga".to_owned(),
            roles: vec![Role::PlatformOperator],
            ..Caller::default()
        },
    ];
    for (n, tenant) in world.tenants.iter().enumerate() {
        let neighbour = &world.tenants[(n + 1) % world.tenants.len()];
        let foreign_group = closed_slug(world, neighbour).await.unwrap_or_else(|| neighbour.slug.clone());
        callers.extend(members(tenant, foreign_group).into_iter().map(|who| made(world, tenant, who)));
        callers.extend(agents(world, tenant).await);
        let providers = [("sales", &tenant.sales), ("support", &tenant.support)];
        callers.extend(providers.map(|(name, organization)| provider(tenant, name, organization.parse().unwrap())));
    }
    callers
}

async fn closed_slug(world: &World, tenant: &TestTenant) -> Option<String> {
    let text = format!("select slug from {}.organizations where slug like 'closed-%'", tenant.schema);
    Some(world.owner.query_opt(&text, &[]).await.unwrap()?.get(0))
}

fn members(tenant: &TestTenant, foreign_group: String) -> Vec<Who<'static>> {
    let (sales, support): (Uuid, Uuid) = (tenant.sales.parse().unwrap(), tenant.support.parse().unwrap());
    let every = vec![tenant.root.0, sales, support];
    let one = |name, roles, group: &str, organization: Uuid| Who {
        name,
        subject: name.replace(' ', "-"),
        roles,
        groups: vec![group.to_owned()],
        reaches: vec![organization],
        changes: vec![organization],
        agent: None,
    };
    let all = |name, roles| Who {
        reaches: every.clone(),
        changes: every.clone(),
        groups: vec![],
        ..one(name, roles, "", sales)
    };
    let none = |name, roles, group: &str| Who { reaches: vec![], changes: vec![], ..one(name, roles, group, sales) };
    vec![
        all("admin", &["tenant_admin"]),
        Who { changes: vec![], ..all("auditor", &["auditor"]) },
        Who {
            changes: vec![sales],
            groups: vec!["sales".to_owned()],
            ..all("auditor and admin of sales", &["organization_admin", "auditor"])
        },
        one("admin of sales", &["organization_admin"], "sales", sales),
        one("admin of support", &["organization_admin"], "support", support),
        one("evaluator of sales", &["evaluator"], "sales", sales),
        one("evaluator of support", &["evaluator"], "support", support),
        one("coach of sales", &["coach"], "sales", sales),
        none("admin of nothing", &["organization_admin"], "nothing"),
        none("evaluator with a foreign group", &["evaluator"], &foreign_group),
        none("somebody with another application's role", &["superuser"], "sales"),
        none("an operator by role alone", &["platform_operator"], "sales"),
    ]
}

fn made(world: &World, tenant: &TestTenant, who: Who<'_>) -> Caller {
    let request = TokenRequest {
        subject: who.subject.clone(),
        roles: who.roles.iter().map(|&role| role.to_owned()).collect(),
        organizations: who.groups,
        audience: "plumbline".to_owned(),
        lifetime: Duration::from_secs(365 * 24 * 3_600),
    };
    let set = |ids: Vec<Uuid>| ids.into_iter().collect::<BTreeSet<_>>();
    Caller {
        name: format!("{}, {}", tenant.slug, who.name),
        token: Some(world.app.issuer.token(&tenant.slug, &request).unwrap()),
        tenant: Some(tenant.id.0),
        actor: format!("user:{}", who.subject),
        organizations: set(who.reaches),
        changes: set(who.changes),
        root: Some(tenant.root.0),
        agent: who.agent,
        roles: who.roles.iter().filter_map(|role| Role::parse(role)).collect(),
        provider: false,
    }
}

/// Two agents of sales, one of support, one whose organization was closed; and a user who was sent away.
async fn agents(world: &World, tenant: &TestTenant) -> Vec<Caller> {
    let text = format!(
        "select u.subject, a.agent_id, o.organization_id, o.slug, o.status from {0}.agents a
         join {0}.users u using (user_id) join {0}.organizations o on o.organization_id = a.organization_id order by a.agent_id",
        tenant.schema
    );
    let mut callers = vec![];
    for row in world.owner.query(&text, &[]).await.unwrap() {
        let (slug, organization): (String, Uuid) = (row.get("slug"), row.get("organization_id"));
        let active = row.get::<_, String>("status") == "active";
        let who = Who {
            name: if active { "agent" } else { "agent of a closed organization" },
            subject: row.get("subject"),
            roles: &["agent"],
            groups: vec![slug],
            // Own calls stay one's own when the organization is closed.
            reaches: vec![organization],
            changes: vec![],
            agent: Some(row.get("agent_id")),
        };
        let mut caller = made(world, tenant, who);
        caller.name = format!("{} {}", caller.name, callers.len());
        callers.push(caller);
    }
    callers
}

fn provider(tenant: &TestTenant, name: &str, organization: Uuid) -> Caller {
    let organizations = BTreeSet::from([organization]);
    Caller {
        name: format!("{}, provider of {name}", tenant.slug),
        tenant: Some(tenant.id.0),
        changes: organizations.clone(),
        organizations,
        root: Some(tenant.root.0),
        provider: true,
        ..Caller::default()
    }
}
