//! Many tenants on one private PostgreSQL, each with a few calls: copies of the house's own schema.

use std::process::Command;

use futures_util::future::try_join_all;
use plumbline::{
    demo::postgres::{Binaries, SUPERUSER},
    foundation::{
        access::{Grant, Permission},
        ids::{CallId, OrganizationId, TenantId},
    },
    platform::db::schema_name,
};

use super::{House, Outcome};

/// A tenant, the leave to read its calls, and some of them.
pub struct Member {
    pub grant: Grant,
    pub calls: Vec<CallId>,
}

/// `count` tenants with `calls` calls each. Their schemas are made from a dump of the house's, which has been through every migration.
pub async fn fleet(house: &House, count: usize, calls: i32) -> Outcome<Vec<Member>> {
    const WORKERS: usize = 4;
    let schema = house.schema();
    let dump = dump(house, &schema)?;
    let made = (0..WORKERS).map(|worker| {
        let (dump, schema) = (&dump, &schema);
        async move {
            let client = house.client().await?;
            let mut made = vec![];
            for _ in (worker..count).step_by(WORKERS) {
                let tenant = TenantId::new();
                let copy = dump.replace(schema.as_str(), &schema_name(tenant));
                client.batch_execute(&copy).await?;
                made.push(fill(&client, tenant, calls).await?);
            }
            Outcome::Ok(made)
        }
    });
    let members: Vec<Member> = try_join_all(made).await?.into_iter().flatten().collect();
    house.client().await?.batch_execute("checkpoint").await?;
    Ok(members)
}

fn dump(house: &House, schema: &str) -> Outcome<String> {
    let beside = Binaries::find(None)?.directory().join("pg_dump");
    let mut command = Command::new(if beside.exists() { beside } else { "pg_dump".into() });
    command.args(["--schema-only", "--no-comments", "-n", schema, "-U", SUPERUSER, "-h"]);
    let output = command.arg(house.postgres.socket_directory()).arg("postgres").output()?;
    if !output.status.success() {
        return Err(format!("pg_dump failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    // Newer versions of pg_dump write words to psql among the statements.
    let text = String::from_utf8(output.stdout)?;
    let statements: Vec<&str> =
        text.lines().filter(|line| !line.starts_with('\\') && !line.starts_with("--")).collect();
    Ok(statements.join("\n"))
}

#[allow(clippy::disallowed_methods, reason = "a bench has no caller")]
async fn fill(client: &tokio_postgres::Client, tenant: TenantId, calls: i32) -> Outcome<Member> {
    let (root, organization, schema) = (OrganizationId::new(), OrganizationId::new(), schema_name(tenant));
    let organizations = format!(
        "insert into {schema}.organizations (organization_id, root_organization_id, slug, name, created_at, updated_at)
         values ($1, $1, 'root', 'Root', now(), now()), ($2, $1, 'service', 'Service', now(), now())"
    );
    client.execute(&organizations, &[&root, &organization]).await?;
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
    Ok(Member { grant: Grant::system(tenant, root, organization, "bench", Permission::ReadCalls), calls })
}
