//! The rules of the SQL as it is written, in files and in the code: what catalogs cannot tell.

use std::fs;

use crate::sql::{files, root};

/// Without comments, in lower case, with single blanks.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").to_lowercase()
}

/// What keeps a tenant's schema from moving between the nodes of Citus, or lets a context outlive its transaction.
fn offences(text: &str) -> Vec<String> {
    const WORDS: &[&str] = &[
        "set_config",
        "security definer",
        "create trigger",
        "create constraint trigger",
        "create event trigger",
        "create rule",
        "create function",
        "create or replace",
        "create view",
        "create materialized view",
        "references platform.",
        "set search_path",
        "set role",
        "set session",
        "force row level security",
        "disable row level security",
    ];
    let plain = plain(text);
    let words = WORDS.iter().filter(|word| plain.contains(*word)).map(|word| (*word).to_owned());
    let nested = plain.split(';').filter(|statement| {
        statement.trim_start().starts_with("create policy") && statement.contains("(select ")
            || statement.trim_start().starts_with("create policy") && statement.contains("exists (")
    });
    words.chain(nested.map(|statement| format!("a subquery in a policy: {statement}"))).collect()
}

#[test]
fn the_files_keep_schemas_movable() {
    let mut looked_at = 0;
    for file in files(&root().join("sql"), "sql") {
        if file.starts_with(root().join("sql/schema")) {
            continue; // a dump of the catalogs, for people
        }
        looked_at += 1;
        let found = offences(&fs::read_to_string(&file).unwrap());
        assert!(found.is_empty(), "{}: {found:?}", file.display());
    }
    assert!(looked_at > 80, "{looked_at}");
}

#[test]
fn each_offence_is_found() {
    for text in [
        "select set_config('app.organizations', $1, true)",
        "create function f() returns int language sql SECURITY\n  DEFINER as ''",
        "create trigger t after insert on calls execute function f()",
        "create rule r as on insert to calls do also select 1",
        "alter table calls add tenant_id uuid references platform.tenants",
        "set search_path = tenant",
        "set role plumbline_member",
        "set session authorization plumbline_member",
        "alter table calls force row level security",
        "create policy p on calls using (organization_id in (select organization_id from organizations))",
        "create policy p on calls using (exists (select from organizations))",
        "create view v as select * from calls",
    ] {
        assert!(!offences(text).is_empty(), "{text}");
    }
    for text in [
        "-- set_config is not used\nselect 1",
        "create policy p on calls using (organization_id = any (current_setting('app.organizations')::uuid[]))",
        "insert into calls select 1 where exists (select from organizations)",
    ] {
        assert!(offences(text).is_empty(), "{text}");
    }
}

/// Queries that look at tables of the tenant more often than they name organizations, and why that is right.
const WITHOUT_ORGANIZATION: &[(&str, &str)] = &[
    (
        "isolation/visible",
        "asks what row security shows when a query forgets them; runs under an invented organization alone",
    ),
    ("isolation/without_context", "must be refused before it looks at anything"),
];

/// Names of the tenant's tables, and predicates (or columns of an insert) that say whose rows are meant.
fn tables_and_organizations(text: &str) -> (usize, usize) {
    let text = plain(text);
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '$');
    let tables = text.match_indices("tenant.").filter(|(at, _)| !text[..*at].ends_with(is_name)).count();
    let compared = text.match_indices("organization_id").filter(|(at, word)| {
        let after = text[at + word.len()..].trim_start();
        after.starts_with('=') || after.starts_with("in (") || in_a_tuple(after)
    });
    let inserted = text.split("insert into tenant.").skip(1).filter(|rest| {
        let columns =
            rest.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(columns, _)| columns);
        columns.contains("organization_id")
    });
    (tables, compared.count() + inserted.count())
}

/// `(organization_id, actor) in (…)`.
fn in_a_tuple(after: &str) -> bool {
    after.split_once(')').is_some_and(|(columns, rest)| {
        columns.starts_with(',') && !columns.contains('(') && rest.trim_start().starts_with("in (")
    })
}

#[test]
fn every_query_names_the_organizations_whose_rows_it_means() {
    let directory = root().join("sql/queries");
    let mut looked_at = 0;
    for file in files(&directory, "sql") {
        let (tables, organizations) = tables_and_organizations(&fs::read_to_string(&file).unwrap());
        let name = file.strip_prefix(&directory).unwrap().with_extension("");
        let listed = WITHOUT_ORGANIZATION.iter().any(|(listed, _)| Some(*listed) == name.to_str());
        looked_at += usize::from(tables > 0);
        assert_eq!(organizations < tables, listed, "{}: {tables} tables, {organizations} predicates", name.display());
    }
    assert!(looked_at > 50, "{looked_at}");
}

#[test]
fn a_forgotten_predicate_is_found() {
    let counted = [
        ("select 1 from tenant.calls where call_id = $1", (1, 0)),
        ("select 1 from tenant.calls where call_id = $1 and organization_id = any ($2)", (1, 1)),
        ("select organization_id from tenant.calls c join tenant.users u on true where c.organization_id = $1", (2, 1)),
        ("insert into tenant.calls (call_id, organization_id) values ($1, $2)", (1, 1)),
        ("insert into tenant.calls (call_id) values ($1)", (1, 0)),
        ("delete from tenant.keys where (organization_id, key) in (select 1)", (1, 1)),
        ("select 1 from platform.jobs, x.tenant.y -- tenant.calls", (0, 0)),
    ];
    for (text, expected) in counted {
        assert_eq!(tables_and_organizations(text), expected, "{text}");
    }
}

/// Where a setting may outlive a transaction: on the owner's own connections, which no request ever gets.
const OWNERS: &[&str] = &["platform/db/migrate", "platform/db/wave.rs", "platform/db/owner.rs", "platform/db/bulk.rs"];

/// `set …` without `local` in the text of a statement.
fn lasting_settings(code: &str) -> Vec<String> {
    let code = plain(code);
    ["set role", "set session", "set search_path", "set app.", "set_config("]
        .iter()
        .filter(|setting| code.match_indices(*setting).any(|(at, _)| !code[..at].ends_with("re")))
        .map(|setting| (*setting).to_owned())
        .collect()
}

#[test]
fn the_context_is_local_to_its_transaction_and_no_search_path_is_set_at_run_time() {
    for file in files(&root().join("src"), "rs") {
        let path = file.strip_prefix(root().join("src")).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let owners = OWNERS.iter().any(|owner| path.starts_with(owner));
        let found = lasting_settings(&code);
        assert!(found.is_empty() || owners, "{path}: {found:?}");
        let names_the_path = code.contains("search_path") && !owners;
        assert!(!names_the_path, "{path}: statements name their schema; no search_path is set");
    }
    let door = fs::read_to_string(root().join("src/platform/db/transaction.rs")).unwrap();
    assert!(door.contains("set local role") && door.contains("set local app.organizations"));
}

#[test]
fn a_lasting_setting_is_found() {
    assert_eq!(lasting_settings("client.batch_execute(\"set role plumbline_member\")"), ["set role"]);
    assert_eq!(lasting_settings("\"select set_config('app.agent', $1, false)\""), ["set_config("]);
    assert_eq!(lasting_settings("\"set app.organizations = '{}'\""), ["set app."]);
    assert!(lasting_settings("\"begin; set local role plumbline_member; set local app.agent = ''\"").is_empty());
}
