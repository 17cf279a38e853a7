//! What the catalogs say of a tenant's schema: row security, policies, owners, grants, foreign keys.

use serde_json::{Map, Value, json};
use tokio_postgres::Row;

use super::{Check, probe::Probes};
use crate::{
    platform::db::{DbError, Statements, schema_name},
    sql,
};

/// The forms that a policy may have, as PostgreSQL writes them down, and the roles that may have them. Ids are unique across tenants, so the
/// organizations of the context are the tenant's wall as well.
const FORMS: [(&str, &[&str]); 3] = [
    ("(organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))", &[MEMBER, AGENT, DIRECTORY]),
    ("(root_organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))", &[MEMBER, DIRECTORY]),
    ("(agent_id = (current_setting('app.agent'::text))::uuid)", &[AGENT]),
];
const MEMBER: &str = "plumbline_member";
const AGENT: &str = "plumbline_agent";
const DIRECTORY: &str = "plumbline_directory";

/// What each scope role may do at most; the directory and agents read.
const MOST: [(&str, &[&str]); 3] =
    [(MEMBER, &["DELETE", "INSERT", "SELECT", "UPDATE"]), (AGENT, &["INSERT", "SELECT"]), (DIRECTORY, &["SELECT"])];

pub(super) async fn checks(probes: &Probes<'_>) -> Result<Vec<Check>, DbError> {
    let schema = schema_name(probes.tenant());
    let (tables, policies, grants, roles) = probes
        .read(async |tx| {
            Ok((
                tx.all(sql!("isolation/tables"), &[&schema]).await?,
                tx.all(sql!("isolation/policies"), &[&schema]).await?,
                tx.all(sql!("isolation/grants"), &[&schema]).await?,
                tx.all(sql!("isolation/roles"), &[]).await?,
            ))
        })
        .await?;
    let tables = tables.iter().map(Table::of).collect::<Result<Vec<_>, _>>()?;
    Ok(vec![
        row_security(&tables),
        policies_of(&policies)?,
        ownership(&tables),
        login_role(&tables, &roles)?,
        grants_of(&grants)?,
        foreign_keys(&tables),
    ])
}

struct Table {
    name: String,
    secured: bool,
    owner: String,
    owned_by_login: bool,
    open_to_login: bool,
    policies: i64,
    anchored: bool,
    leaving: Vec<String>,
}

impl Table {
    fn of(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            name: row.try_get("name")?,
            secured: row.try_get("secured")?,
            owner: row.try_get("owner")?,
            owned_by_login: row.try_get("owned_by_login")?,
            open_to_login: row.try_get("open_to_login")?,
            policies: row.try_get("policies")?,
            anchored: row.try_get("anchored")?,
            leaving: row.try_get("leaving")?,
        })
    }
}

/// A sentence for every table that is not as it should be.
fn faults(tables: &[Table], wrong: impl Fn(&Table) -> bool, what: &str) -> Vec<String> {
    let none = tables.is_empty().then(|| "the schema has no tables".to_owned());
    let found = tables.iter().filter(|table| wrong(table)).map(|table| format!("{} {what}", table.name));
    none.into_iter().chain(found).collect()
}

fn row_security(tables: &[Table]) -> Check {
    let faults = faults(tables, |table| !table.secured || table.policies == 0, "has no row security, or no policy");
    let evidence: Map<String, Value> = tables
        .iter()
        .map(|table| (table.name.clone(), json!({ "row_security": table.secured, "policies": table.policies })))
        .collect();
    let right = format!("all {} tables have it, with a policy each", tables.len());
    Check::of("row_security", "Has every table of the tenant row security?", &faults, right, evidence.into())
}

fn policies_of(rows: &[Row]) -> Result<Check, DbError> {
    let mut faults = vec![];
    let mut counted = vec![0; FORMS.len()];
    for row in rows {
        let (table, name): (&str, &str) = (row.try_get("table_name")?, row.try_get("name")?);
        let roles: Vec<String> = row.try_get("roles")?;
        let forms: [Option<&str>; 2] = [row.try_get("qual")?, row.try_get("with_check")?];
        let permissive: &str = row.try_get("kind")?;
        for form in forms.into_iter().flatten() {
            match FORMS.iter().position(|(allowed, _)| *allowed == form) {
                Some(n)
                    if permissive == "PERMISSIVE" && roles.iter().all(|role| FORMS[n].1.contains(&role.as_str())) =>
                {
                    counted[n] += 1;
                }
                _ => faults.push(format!("policy {name} on {table} for {}: {form}", roles.join(", "))),
            }
        }
    }
    if rows.is_empty() {
        faults.push("there are no policies".to_owned());
    }
    let forms: Map<String, Value> =
        FORMS.iter().zip(counted).map(|((form, _), n)| ((*form).to_owned(), json!(n))).collect();
    let evidence = json!({ "policies": rows.len(), "forms": forms });
    let right = format!("all {} policies do", rows.len());
    Ok(Check::of(
        "policies",
        "Have all policies an allowed form, for the roles that may have it?",
        &faults,
        right,
        evidence,
    ))
}

fn ownership(tables: &[Table]) -> Check {
    let faults =
        faults(tables, |table| table.owned_by_login, "belongs to the login role, which row security would not bind");
    let mut owners: Vec<&str> = tables.iter().map(|table| table.owner.as_str()).collect();
    owners.sort_unstable();
    owners.dedup();
    let evidence = json!({ "tables": tables.len(), "owners": owners.len() });
    Check::of(
        "ownership",
        "Does the login role own none of the tables?",
        &faults,
        "it owns none, and may not act as their owner",
        evidence,
    )
}

fn login_role(tables: &[Table], rows: &[Row]) -> Result<Check, DbError> {
    let mut faults = faults(tables, |table| table.open_to_login, "is open to the login role by itself");
    let mut taken = vec![];
    for row in rows {
        let (name, login): (&str, bool) = (row.try_get("name")?, row.try_get("is_login")?);
        if row.try_get("mighty")? {
            faults.push(format!("{name} is a superuser, passes row security, or may make roles or databases"));
        }
        if row.try_get("inherits")? {
            faults.push(format!("{name} inherits what it should have to take"));
        }
        if !login && row.try_get("logs_in")? {
            faults.push(format!("{name} can log in"));
        }
        if !login {
            taken.push(name.to_owned());
        }
    }
    let evidence = json!({ "roles_that_it_may_take": taken, "tables_open_to_it": tables.iter().filter(|table| table.open_to_login).count() });
    let right = "it has no privilege of its own and inherits none; in each transaction it takes one of the scope roles";
    Ok(Check::of("login_role", "Is the login role without power of its own?", &faults, right, evidence))
}

fn grants_of(rows: &[Row]) -> Result<Check, DbError> {
    let (mut faults, mut evidence) = (vec![], Map::new());
    for row in rows {
        let (grantee, privilege): (&str, &str) = (row.try_get("grantee")?, row.try_get("privilege")?);
        let tables: Vec<String> = row.try_get("tables")?;
        if !MOST.iter().any(|(role, most)| *role == grantee && most.contains(&privilege)) {
            faults.push(format!("{grantee} may {privilege} on {}", tables.join(", ")));
        }
        let of_role = evidence.entry(grantee.to_owned()).or_insert_with(|| json!({}));
        of_role[privilege] = json!(tables);
    }
    if rows.is_empty() {
        faults.push("there are no grants".to_owned());
    }
    let right = "the scope roles have them, no more than each needs";
    Ok(Check::of("grants", "Who may do what on the tables?", &faults, right, evidence.into()))
}

fn foreign_keys(tables: &[Table]) -> Check {
    let mut faults = faults(tables, |table| !table.leaving.is_empty(), "refers to another schema");
    faults.extend(
        tables
            .iter()
            .filter(|table| !table.anchored)
            .map(|table| format!("{} does not refer to the schema's own organizations", table.name)),
    );
    let leaving: Vec<&String> = tables.iter().flat_map(|table| &table.leaving).collect();
    let evidence = json!({ "tables": tables.len(), "refer_to_own_organizations": tables.iter().filter(|table| table.anchored).count(), "leaving": leaving });
    let asked = "Does every row refer to an organization of this schema, and no foreign key leave it?";
    Check::of("foreign_keys", asked, &faults, "every table does, and none leaves", evidence)
}
