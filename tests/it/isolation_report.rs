//! The isolation report: it passes where the walls stand, says which one does not, and is for those who may read how the tenant stands.

use std::fs;

use plumbline::platform::isolation::CACHES;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    sql::{database, files, root},
    support::{TestApp, TestTenant, conversation, wav},
};

async fn report(app: &TestApp, tenant: &TestTenant) -> Value {
    let auditor = app.caller(tenant, "aud", "auditor", &[]);
    auditor.get(&format!("/api/tenants/{}/isolation-report", tenant.id)).await.expect(200)
}

fn failed(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["passed"] == json!(false)).map(|check| check["name"].as_str().unwrap()).collect()
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["name"] == json!(name)).unwrap()
}

#[tokio::test]
async fn the_walls_of_a_furnished_tenant_stand() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    app.send(&admin, &conversation(&tenant.sales)).await;
    let query = format!("organization_id={}", tenant.support);
    admin.upload(&query, wav(7)).await.expect(202);
    app.drain_all().await;
    let report = report(&app, &tenant).await;
    assert_eq!((failed(&report), &report["verdict"]), (vec![], &json!("pass")), "{report:#}");
    assert_eq!(report["tenant_id"], json!(tenant.id));
    let names: Vec<_> =
        report["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    let expected = [
        "row_security",
        "policies",
        "ownership",
        "login_role",
        "grants",
        "foreign_keys",
        "foreign_read",
        "missing_context",
        "foreign_write",
        "object_prefix",
        "issuer",
        "cache_keys",
        "schema",
    ];
    assert_eq!(names, expected);
    let objects = &check(&report, "object_prefix")["evidence"];
    assert_eq!((&objects["recorded_keys"], &objects["listed_objects"]), (&json!(1), &json!(1)), "{objects}");
    assert_eq!(
        check(&report, "foreign_write")["evidence"]["row_of_an_unknown_organization"]["sqlstate"],
        json!("23503")
    );
    let users = app
        .database
        .count(&format!("select count(*) from {}.users where display_name = 'isolation probe'", tenant.schema))
        .await;
    assert_eq!(users, 0, "probes leave nothing");
    // Whoever filed the report can tell later that it is the one that was given.
    let mut told = report.clone();
    let digest = told.as_object_mut().unwrap().shift_remove("digest").unwrap();
    let computed: String = Sha256::digest(told.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, json!(computed));
    app.finish().await;
}

/// A wall that is taken away, the checks that must say so, a word of what they found, and the wall again.
struct Breach {
    made: &'static str,
    failed: &'static [&'static str],
    found: &'static str,
    mended: &'static str,
}

const BREACHES: &[Breach] = &[
    Breach {
        made: "alter table {schema}.calls disable row level security",
        failed: &["row_security", "foreign_read", "schema"],
        found: "rows of calls are seen",
        mended: "alter table {schema}.calls enable row level security",
    },
    Breach {
        made: "create policy everybody on {schema}.users to plumbline_member using (true)",
        failed: &["policies", "foreign_read", "foreign_write", "schema"],
        found: "policy everybody on users for plumbline_member: true",
        mended: "drop policy everybody on {schema}.users",
    },
    Breach {
        made: "alter table {schema}.scores owner to plumbline_app",
        failed: &["ownership", "login_role", "schema"],
        found: "scores belongs to the login role",
        mended: "alter table {schema}.scores owner to current_user",
    },
    Breach {
        made: "grant select on {schema}.insights to plumbline_app",
        failed: &["login_role", "grants", "schema"],
        found: "plumbline_app may SELECT on insights",
        mended: "revoke select on {schema}.insights from plumbline_app",
    },
    Breach {
        made: "grant update on {schema}.users to plumbline_directory",
        failed: &["grants", "schema"],
        found: "plumbline_directory may UPDATE on users",
        mended: "revoke update on {schema}.users from plumbline_directory",
    },
    Breach {
        made: "alter table {schema}.users drop constraint users_organization_id_fkey",
        failed: &["foreign_keys", "foreign_write", "schema"],
        found: "users does not refer to the schema's own organizations",
        mended: "alter table {schema}.users add constraint users_organization_id_fkey foreign key (organization_id)
            references {schema}.organizations",
    },
    Breach {
        made: "alter table {schema}.users add constraint out foreign key (user_id) references platform.tenants not valid",
        failed: &["foreign_keys", "schema"],
        found: "users refers to another schema",
        mended: "alter table {schema}.users drop constraint out",
    },
    Breach {
        made: "update {schema}.audio_files set object_key = 'elsewhere/' || object_key",
        failed: &["object_prefix"],
        found: "1 recorded keys are outside",
        mended: "update {schema}.audio_files set object_key = substr(object_key, 11)",
    },
    Breach {
        made: "alter table {schema}.calls add column noted text",
        failed: &["schema"],
        found: "it is not",
        mended: "alter table {schema}.calls drop column noted",
    },
    Breach {
        made: "drop schema {schema} cascade",
        failed: &["row_security", "policies", "grants", "foreign_read", "foreign_write", "schema"],
        found: "the schema has no tables",
        mended: "select 1",
    },
];

#[tokio::test]
async fn each_breach_is_reported_where_it_is() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    app.send(&admin, &conversation(&tenant.sales)).await;
    admin.upload(&format!("organization_id={}", tenant.sales), wav(7)).await.expect(202);
    app.agent(&tenant, &tenant.sales, "abe").await;
    app.drain_all().await;
    let path = format!("/api/tenants/{}/isolation-report", tenant.id);
    for breach in BREACHES {
        app.database.execute(&breach.made.replace("{schema}", &tenant.schema)).await;
        let report = app.operator().get(&path).await.expect(200);
        let failed = failed(&report);
        assert_eq!(report["verdict"], json!("fail"), "{}", breach.made);
        for name in breach.failed {
            assert!(failed.contains(name), "{}: {name} is not among {failed:?}", breach.made);
        }
        let found: Vec<_> = failed.iter().map(|name| check(&report, name)["found"].as_str().unwrap()).collect();
        assert!(found.join("\n").contains(breach.found), "{}: {found:?}", breach.made);
        app.database.execute(&breach.mended.replace("{schema}", &tenant.schema)).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn it_is_for_those_who_may_read_how_the_tenant_stands() {
    let app = TestApp::start().await;
    let (acme, globex) = (app.tenant("acme").await, app.tenant("globex").await);
    let path = |id: &str| format!("/api/tenants/{id}/isolation-report");
    let (own, foreign) = (path(&acme.id.to_string()), path(&globex.id.to_string()));
    let nothing = path("00000000-0000-7000-8000-000000000000");
    let auditor = app.caller(&acme, "aud", "auditor", &[]);
    auditor.get(&foreign).await.refused(404, "not-found");
    auditor.get(&nothing).await.refused(404, "not-found");
    app.operator().get(&nothing).await.refused(404, "not-found");
    app.operator().get(&foreign).await.expect(200);
    app.admin(&acme).get(&own).await.expect(200);
    for role in ["evaluator", "coach"] {
        for path in [&own, &foreign, &nothing] {
            app.caller(&acme, "eve", role, &["sales"]).get(path).await.refused(403, "forbidden");
        }
    }
    app.anonymous().get(&own).await.refused(401, "unauthorized");
    app.admin(&acme).get(&path("acme")).await.refused(404, "not-found");
    // Of a destroyed tenant nothing is left that could be looked at.
    let destroyed = "00000000-0000-7000-8000-00000000dead";
    let insert = format!(
        "insert into platform.tenants (tenant_id, slug, name, status, issuer, root_organization_id)
         values ('{destroyed}', 'gone', 'Gone', 'destroyed', 'https://issuer.example/gone', gen_random_uuid())"
    );
    app.database.execute(&insert).await;
    app.operator().get(&path(destroyed)).await.refused(404, "not-found");
    app.finish().await;
}

#[tokio::test]
async fn the_probe_asks_every_table() {
    let client = database().await;
    let rows = client
        .query("select tablename::text from pg_tables where schemaname = 'tenant' and tablename <> 'refinery_schema_history'", &[])
        .await
        .unwrap();
    let text = fs::read_to_string(root().join("sql/queries/isolation/visible.sql")).unwrap();
    for row in &rows {
        let table: String = row.get(0);
        assert!(
            text.contains(&format!("from tenant.{table})")),
            "sql/queries/isolation/visible.sql does not ask {table}"
        );
    }
    assert_eq!(text.matches("exists (").count(), rows.len());
}

#[test]
fn every_cache_is_told_of() {
    let src = root().join("src");
    for file in files(&src, "rs") {
        let text = fs::read_to_string(&file).unwrap();
        if text.contains("moka::") && !text.contains("pub const CACHES") {
            let path = file.strip_prefix(&src).unwrap().to_str().unwrap();
            assert!(
                CACHES.iter().any(|cache| cache.kept_in == path),
                "platform/isolation does not tell of the cache in {path}"
            );
        }
    }
    for cache in CACHES {
        assert!(src.join(cache.kept_in).exists(), "{} is no more", cache.kept_in);
    }
}
