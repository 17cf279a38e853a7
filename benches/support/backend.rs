//! What one backend of PostgreSQL keeps in memory for prepared statements and for the tables that it has met.

use tokio_postgres::{Client, types::ToSql};

use super::{House, Outcome, many::Member};
use plumbline::platform::db::schema_name;

/// KiB, each for one tenant: the statement when it is just prepared, and with the plan that PostgreSQL keeps after a few runs; and what
/// it remembers of the tables that the statement names, prepared or not.
pub struct Kept {
    pub prepared_kib: f64,
    pub planned_kib: f64,
    pub tables_kib: f64,
}

/// One query file for many tenants on one connection, as the members' role.
pub async fn kept(house: &House, members: &[Member], text: &str, others: &[&(dyn ToSql + Sync)]) -> Outcome<Kept> {
    /// By then PostgreSQL has chosen a plan for all parameters.
    const RUNS: usize = 6;
    let client = house.client().await?;
    let before = memory(&client).await?;
    let mut statements = vec![];
    for member in members {
        client.batch_execute(&context(member)).await?;
        statements
            .push(client.prepare(&text.replace("tenant.", &format!("{}.", schema_name(member.grant.tenant())))).await?);
    }
    let prepared = memory(&client).await?;
    for (member, statement) in members.iter().zip(&statements) {
        client.batch_execute(&context(member)).await?;
        let organizations = member.grant.organizations();
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&organizations];
        params.extend(others);
        if text.starts_with("-- calls/find:") {
            params = vec![&member.calls[0], &organizations];
        }
        for _ in 0..RUNS {
            client.query(statement, &params).await?;
        }
    }
    let planned = memory(&client).await?;
    let each = |kib: f64| kib / members.len() as f64;
    Ok(Kept {
        prepared_kib: each(prepared.0 - before.0),
        planned_kib: each(planned.0 - before.0),
        tables_kib: each(planned.1 - before.1),
    })
}

fn context(member: &Member) -> String {
    let organizations: Vec<String> = member.grant.organizations().iter().map(ToString::to_string).collect();
    format!("set role plumbline_member; set app.organizations = '{{{}}}'", organizations.join(","))
}

/// KiB of plans, and of what is remembered of tables.
async fn memory(client: &Client) -> Outcome<(f64, f64)> {
    let text = "select coalesce(sum(total_bytes) filter (where name like 'CachedPlan%'), 0)::float8 / 1024 as plans,
                       sum(total_bytes) filter (where name not like 'CachedPlan%'
                           and (name = 'CacheMemoryContext' or parent = 'CacheMemoryContext'))::float8 / 1024 as tables
                from pg_backend_memory_contexts";
    client.batch_execute("reset role").await?;
    let row = client.query_one(text, &[]).await?;
    Ok((row.get("plans"), row.get("tables")))
}
