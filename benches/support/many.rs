//! Many tenants on one private PostgreSQL, each with a few calls.

use futures_util::future::try_join_all;
use plumbline::{
    foundation::{
        access::{Grant, Permission},
        ids::{CallId, OrganizationId, TenantId},
    },
    platform::db::{NewTenant, Owner, schema_name},
};

use super::{House, Outcome};

/// A tenant: the leave to read its calls, and their ids.
pub struct Member {
    pub grant: Grant,
    pub calls: Vec<CallId>,
}

/// `count` tenants with `calls` calls each.
pub async fn tenants(house: &House, count: usize, calls: i32) -> Outcome<Vec<Member>> {
    const WORKERS: usize = 4;
    let made = (0..WORKERS).map(|worker| async move {
        let mut owner = Owner::connect(&house.owner()).await?;
        let client = house.client().await?;
        let mut made = vec![];
        for n in (worker..count).step_by(WORKERS) {
            let new = NewTenant {
                tenant_id: TenantId::new(),
                slug: format!("tenant-{n}"),
                name: format!("Tenant {n}"),
                issuer: format!("https://issuer.invalid/{n}"),
                root_organization_id: OrganizationId::new(),
            };
            owner.create_tenant(&new).await?;
            made.push(fill(&client, &new, calls).await?);
        }
        Outcome::Ok(made)
    });
    let members: Vec<Member> = try_join_all(made).await?.into_iter().flatten().collect();
    house.client().await?.batch_execute("checkpoint").await?;
    Ok(members)
}

#[allow(clippy::disallowed_methods, reason = "a bench has no caller")]
async fn fill(client: &tokio_postgres::Client, tenant: &NewTenant, calls: i32) -> Outcome<Member> {
    let (root, organization) = (tenant.root_organization_id, OrganizationId::new());
    let schema = schema_name(tenant.tenant_id);
    let organizations = format!(
        "insert into {schema}.organizations (organization_id, root_organization_id, slug, name, created_at, updated_at)
         values ($1, $2, 'service', 'Service', now(), now())"
    );
    client.execute(&organizations, &[&organization, &root]).await?;
    let text = format!(
        "insert into {schema}.calls
             (call_id, organization_id, external_id, channel, language, status, duration_ms, started_at, received_at, transcribed_at,
              evaluated_at, overall_score)
         select gen_random_uuid(), $1, 'bench-' || n, 'phone', 'en', 'evaluated', 240000, at, at, at, at, n % 10000 / 100.0
         from (select n, now() - n * interval '1 minute' as at from generate_series(1, $2::int4) n) calls
         returning call_id"
    );
    let calls = client.query(&text, &[&organization, &calls]).await?.iter().map(|row| row.get("call_id")).collect();
    client.batch_execute(&format!("analyze {schema}.calls")).await?;
    Ok(Member { grant: Grant::system(tenant.tenant_id, root, organization, "bench", Permission::ReadCalls), calls })
}
