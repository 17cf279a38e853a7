//! What a plugin's author sees of its runs: statistics and the runs themselves, in the organizations that the caller reaches.

use plumbline::foundation::access::{Permission, Role};
use serde_json::{Value, json};

use crate::{
    plugins::EXAMPLE,
    plugins_versions::upload,
    support::{TestApp, TestTenant},
};

/// Hundred good runs of 1 to 100 ms, an hour apart from the test's time backwards, and three failures.
async fn ran(app: &TestApp, tenant: &TestTenant, organization: &str, digest: &str) {
    let insert = format!(
        "insert into {0}.plugin_runs (plugin_run_id, organization_id, digest, purpose, outcome, message, log, log_truncated, fuel, elapsed_us,
             memory_bytes, overall, counted, ran_at)
         select gen_random_uuid(), '{organization}', '{digest}', case when n <= 60 then 'active' else 'shadow' end, 'ok', null,
             '[[\"info\", \"run\"]]', 0, n * 1000, n * 1000, 65536, 8500, 8750, timestamptz '2026-11-23T09:00:00Z' - n * interval '1 hour'
         from generate_series(1, 100) n;
         insert into {0}.plugin_runs (plugin_run_id, organization_id, digest, purpose, outcome, message, log, log_truncated, fuel, elapsed_us,
             memory_bytes, ran_at)
         select gen_random_uuid(), '{organization}', '{digest}', 'active', outcome, 'the plugin trapped: \"hello\"', '[[\"error\", \"oh\"]]', 7, 5, 5,
             131072, timestamptz '2026-11-23T08:59:00Z'
         from unnest(array['trap', 'trap', 'fuel']) outcome",
        tenant.schema
    );
    app.database.execute(&insert).await;
}

#[tokio::test]
async fn the_author_sees_runs_faults_and_percentiles_by_purpose_and_day() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let digest = upload(&admin, EXAMPLE).await.text("digest");
    let path = format!("/api/plugins/{digest}/statistics");
    let empty = admin.get(&path).await.expect(200);
    assert_eq!((&empty["total"]["runs"], &empty["purposes"], &empty["days"]), (&json!(0), &json!([]), &json!([])));
    assert_eq!(empty["total"]["fuel"], json!({"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}));

    ran(&app, &tenant, &tenant.sales, &digest).await;
    ran(&app, &tenant, &tenant.support, &digest).await;
    let sales = format!("{path}?organization_id={}", tenant.sales);
    let found = admin.get(&sales).await.expect(200);
    let total = &found["total"];
    assert_eq!((&total["runs"], &total["faults"]), (&json!(103), &json!(3)), "{found:#}");
    assert_eq!(total["fault_kinds"], json!([{"kind": "trap", "runs": 2}, {"kind": "fuel", "runs": 1}]));
    // Of 103 runs three took 5 µs: the 98th is 95 ms, the 102nd 99 ms.
    let elapsed = &total["elapsed_ms"];
    assert_eq!((&elapsed["p95"], &elapsed["p99"], &elapsed["max"]), (&json!(95.0), &json!(99.0), &json!(100.0)));
    assert_eq!(total["memory_bytes"]["max"], json!(131_072.0));
    let purposes: Vec<_> = found["purposes"].as_array().unwrap().iter().collect();
    assert_eq!(purposes.len(), 2);
    for one in purposes {
        let (runs, faults) = if one["purpose"] == "active" { (63, 3) } else { (40, 0) };
        assert_eq!((&one["taken"]["runs"], &one["taken"]["faults"]), (&json!(runs), &json!(faults)), "{one}");
    }
    let days = found["days"].as_array().unwrap();
    assert_eq!(days.iter().map(|day| day["runs"].as_i64().unwrap()).sum::<i64>(), 103);
    let last = days.last().unwrap();
    assert_eq!((&last["day"], &last["faults"]), (&json!("2026-11-23"), &json!(3)));

    let window = format!("{sales}&from=2026-11-23T00:00:00Z&before=2026-11-23T08:30:00Z");
    let found = admin.get(&window).await.expect(200);
    assert_eq!((&found["total"]["runs"], &found["total"]["faults"]), (&json!(9), &json!(0)));
    assert_eq!(admin.get(&path).await.expect(200)["total"]["runs"], json!(206), "both organizations");
    // Whoever reaches one organization alone is told of that alone.
    let evaluator = app.caller(&tenant, "eve", "evaluator", &["support"]);
    assert_eq!(evaluator.get(&path).await.expect(200)["total"]["runs"], json!(103));
    assert_eq!(evaluator.get(&sales).await.expect(200)["total"]["runs"], json!(0));
    admin.get(&format!("{path}?from=0001-01-01T00:00:00Z")).await.refused(400, "validation");
    app.finish().await;
}

#[tokio::test]
async fn runs_are_listed_with_their_logs() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let digest = upload(&admin, EXAMPLE).await.text("digest");
    ran(&app, &tenant, &tenant.sales, &digest).await;
    let path = format!("/api/plugins/{digest}/runs");
    let count = async |query: &str| {
        let page = admin.get(&format!("{path}?limit=200&{query}")).await.expect(200);
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 103);
    assert_eq!(count("outcome=fault").await, 3);
    assert_eq!(count("outcome=trap").await, 2);
    assert_eq!(count("purpose=shadow").await, 40);
    assert_eq!(count(&format!("organization_id={}", tenant.support)).await, 0);
    assert_eq!(count("binding_id=00000000-0000-7000-8000-000000000000").await, 0);

    let fault = admin.get(&format!("{path}?outcome=fuel")).await.expect(200)["items"][0].clone();
    assert_eq!(fault["log"], json!([{"level": "error", "message": "oh"}]));
    assert_eq!((&fault["log_truncated"], &fault["log_left_out"]), (&json!(true), &json!(7)));
    assert_eq!(fault["overall_score"], Value::Null);
    let good = admin.get(&format!("{path}?outcome=ok&limit=1")).await.expect(200);
    let run = &good["items"][0];
    assert_eq!((&run["overall_score"], &run["counted_score"]), (&json!(85.0), &json!(87.5)));
    assert_eq!((&run["log_truncated"], &run["elapsed_ms"]), (&json!(false), &json!(1.0)));
    let cursor = good["next_cursor"].as_str().unwrap();
    let next = admin.get(&format!("{path}?outcome=ok&limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!(next["items"][0]["elapsed_ms"], json!(2.0));
    admin.get(&format!("{path}?cursor={cursor}")).await.refused(400, "invalid-cursor");
    let support = app.caller(&tenant, "sue", "evaluator", &["support"]);
    assert_eq!(support.get(&path).await.expect(200)["items"], json!([]));
    app.caller(&tenant, "cora", "coach", &["sales"]).get(&path).await.refused(403, "forbidden");
    app.finish().await;
}

#[test]
fn whoever_reads_logs_of_plugins_reads_calls() {
    let may = |permission: Permission| Role::ALL.iter().filter(move |role| role.may(permission));
    assert!(may(Permission::ReadPlugins).count() > 2);
    assert!(may(Permission::ReadPlugins).all(|role| role.may(Permission::ReadCalls)));
    assert!(may(Permission::ManagePlugins).all(|role| role.may(Permission::ReadPlugins)));
}
