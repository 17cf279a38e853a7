//! Quotas: each at its boundary, exact under concurrency, counted once, and readable by those whom they concern.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use plumbline::{
    demo::{
        content,
        standins::{Recogniser, StandInOptions},
    },
    foundation::{
        access::{Grant, Permission},
        config::SpeechProvider,
    },
    platform::tenancy::quotas::{QuotaError, Quotas},
    product::plugins::{
        binding::{self, BindError, NewBinding},
        model::FailurePolicy,
    },
};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    cli::{self, Program},
    plugins::EXAMPLE_SETTINGS,
    speech::recogniser,
    support::{Answer, Client, TestApp, TestTenant, conversation, scorecard, wav},
};

async fn put(client: &Client, tenant: &TestTenant, quotas: &Value, revision: &str) -> Answer {
    let path = format!("/api/tenants/{}/quotas", tenant.id);
    Answer::to(client.request(Method::PUT, &path).header("if-match", revision).json(quotas)).await
}

async fn limit(app: &TestApp, tenant: &TestTenant, quotas: Value) {
    put(&app.operator(), tenant, &quotas, "*").await.expect(200);
}

async fn usage(app: &TestApp, tenant: &TestTenant) -> Value {
    app.admin(tenant).get(&format!("/api/tenants/{}/usage", tenant.id)).await.expect(200)
}

/// How much of a quota is used.
async fn used(app: &TestApp, tenant: &TestTenant, quota: &str) -> u64 {
    let usage = usage(app, tenant).await;
    let quotas = usage["quotas"].as_array().unwrap();
    quotas.iter().find(|one| one["quota"] == quota).unwrap()["used"].as_u64().unwrap()
}

async fn record(app: &TestApp, tenant: &TestTenant, bytes: Vec<u8>) -> Answer {
    app.admin(tenant).upload(&format!("organization_id={}", tenant.sales), bytes).await
}

/// What was counted is what is there.
async fn nothing_drifted(app: &TestApp, tenant: &TestTenant) {
    let schema = &tenant.schema;
    let drifted = format!(
        "select (select coalesce(sum(stored_bytes), 0) from {schema}.usage_totals)::bigint
             <> (select coalesce(sum(size_bytes), 0) from {schema}.audio_files)
              + (select coalesce(sum(size_bytes), 0) from {schema}.plugin_versions)
             or (select coalesce(sum(stored_bytes), 0) from {schema}.usage_days)
             <> (select coalesce(sum(stored_bytes), 0) from {schema}.usage_totals)
             or (select coalesce(sum(plugins), 0) from {schema}.usage_totals) <> (select count(*) from {schema}.plugin_versions)
             or (select coalesce(sum(calls), 0) from {schema}.usage_days) <> (select count(*) from {schema}.calls)
             or (select coalesce(sum(evaluations), 0) from {schema}.usage_days) <> (select count(*) from {schema}.evaluations)"
    );
    assert_eq!(
        app.database.count(&format!("select ({drifted})::int::bigint")).await,
        0,
        "{}",
        usage(app, tenant).await
    );
    let objects = usize::try_from(
        app.database
            .count(&format!(
                "select (select count(*) from {schema}.audio_files) + (select count(*) from {schema}.plugin_versions)"
            ))
            .await,
    );
    let mine = app.objects().await.into_iter().filter(|key| key.starts_with(&tenant.id.to_string())).count();
    assert_eq!(objects, Ok(mine), "objects that belong to nothing");
    assert_eq!(app.database.count("select count(*) from platform.uploads").await, 0);
}

#[tokio::test]
async fn fifty_at_once_with_a_quota_of_twenty_are_twenty() {
    let app = TestApp::start().await;
    let (tenant, other) = (app.ready_tenant("acme").await, app.ready_tenant("zeta").await);
    limit(&app, &tenant, json!({"calls_per_day": 20})).await;
    let admin = app.admin(&tenant);
    let answers: Vec<Answer> = stream::iter(0..50_u16)
        .map(|n| {
            let (admin, tenant) = (&admin, &tenant);
            async move {
                let organization = if n % 2 == 0 { &tenant.sales } else { &tenant.support };
                if n % 3 == 0 {
                    admin.upload(&format!("organization_id={organization}"), wav(n + 1)).await
                } else {
                    admin.post("/api/calls", &conversation(organization)).await
                }
            }
        })
        .buffer_unordered(50)
        .collect()
        .await;
    let taken = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(taken, 20);
    for answer in answers.into_iter().filter(|answer| answer.status != 202) {
        assert_eq!(answer.header("retry-after"), "54000", "from nine o'clock until midnight");
        let problem = answer.refused(429, "daily-quota-exceeded");
        let said = problem["detail"].as_str().unwrap();
        assert_eq!(said, "the quota calls_per_day is 20: 20 are used, 1 more were asked for");
    }
    assert_eq!(used(&app, &tenant, "calls_per_day").await, 20);
    nothing_drifted(&app, &tenant).await;
    // Another tenant has its own day.
    app.send(&app.admin(&other), &conversation(&other.sales)).await;
    assert_eq!(used(&app, &other, "calls_per_day").await, 1);
    // The next day is another one.
    app.advance(54_000);
    app.send(&admin, &conversation(&tenant.sales)).await;
    assert_eq!(used(&app, &tenant, "calls_per_day").await, 1);
    let days = usage(&app, &tenant).await["days"].clone();
    let calls: Vec<_> = days.as_array().unwrap().iter().map(|day| (day["day"].clone(), day["calls"].clone())).collect();
    assert_eq!(calls, [(json!("2026-11-24"), json!(1)), (json!("2026-11-23"), json!(20))]);
    app.drain_all().await;
    nothing_drifted(&app, &tenant).await;
}

#[tokio::test]
async fn what_creates_nothing_counts_nothing() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut named = conversation(&tenant.sales);
    named["external_id"] = json!("crm-1");
    let first = admin.post_once("/api/calls", "k", &named).await.expect(202);
    let audio = |key: &'static str| {
        let request = admin.request(Method::POST, &format!("/api/calls?organization_id={}", tenant.sales));
        Answer::to(
            request.header("content-type", "application/octet-stream").header("idempotency-key", key).body(wav(1)),
        )
    };
    let recorded = audio("a").await.expect(202);
    let before = usage(&app, &tenant).await;
    assert_eq!(admin.post_once("/api/calls", "k", &named).await.expect(202)["call_id"], first["call_id"]);
    assert_eq!(audio("a").await.expect(202)["call_id"], recorded["call_id"]);
    admin.post("/api/calls", &named).await.refused(409, "conflict");
    record(&app, &tenant, wav(1)).await.refused(409, "duplicate-audio");
    record(&app, &tenant, b"no recording".to_vec()).await.refused(415, "not-audio");
    assert_eq!(usage(&app, &tenant).await, before);
    // A request that was answered is answered again when nothing more is taken.
    limit(&app, &tenant, json!({"calls_per_day": 0, "waiting_jobs": 0})).await;
    assert_eq!(admin.post_once("/api/calls", "k", &named).await.expect(202)["call_id"], first["call_id"]);
    assert_eq!(audio("a").await.expect(202)["call_id"], recorded["call_id"]);
    audio("b").await.refused(429, "daily-quota-exceeded");
    nothing_drifted(&app, &tenant).await;
    app.drain_all().await;
}

#[tokio::test]
async fn calls_a_day_at_its_boundary_and_changed() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    for (quota, sent) in [(1, 1), (3, 2), (2, 0), (0, 0)] {
        limit(&app, &tenant, json!({ "calls_per_day": quota })).await;
        for _ in 0..sent {
            app.send(&admin, &conversation(&tenant.sales)).await;
        }
        admin.post("/api/calls", &conversation(&tenant.support)).await.refused(429, "daily-quota-exceeded");
        record(&app, &tenant, wav(1)).await.refused(429, "daily-quota-exceeded");
    }
    // None is no limit, and neither is the largest.
    for quotas in [json!({}), json!({"calls_per_day": 9_007_199_254_740_991_u64})] {
        limit(&app, &tenant, quotas).await;
        app.send(&admin, &conversation(&tenant.sales)).await;
    }
    app.drain_all().await;
    nothing_drifted(&app, &tenant).await;
    app.finish().await;
}

#[tokio::test]
async fn storage_is_full_to_the_byte() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let size = wav(1).len();
    limit(&app, &tenant, json!({ "storage_bytes": 2 * size - 1 })).await;
    record(&app, &tenant, wav(1)).await.expect(202);
    let problem = record(&app, &tenant, wav(2)).await.refused(403, "quota-exceeded");
    let said = format!("the quota storage_bytes is {}: {size} are used, {size} more were asked for", 2 * size - 1);
    assert_eq!(problem["detail"], json!(said));
    nothing_drifted(&app, &tenant).await; // the object went with its refusal
    limit(&app, &tenant, json!({ "storage_bytes": 2 * size })).await;
    record(&app, &tenant, wav(2)).await.expect(202);
    record(&app, &tenant, wav(3)).await.refused(403, "quota-exceeded");
    // With a day's quota beside it, what has no room is named, and not the day that this very recording had been counted on.
    limit(&app, &tenant, json!({ "storage_bytes": 2 * size, "calls_per_day": 3, "audio_minutes_per_day": 1 })).await;
    let problem = record(&app, &tenant, wav(3)).await.refused(403, "quota-exceeded");
    assert!(problem["detail"].as_str().unwrap().starts_with("the quota storage_bytes is"), "{problem}");
    limit(&app, &tenant, json!({ "storage_bytes": 9 * size, "calls_per_day": 2 })).await;
    let problem = record(&app, &tenant, wav(3)).await.refused(429, "daily-quota-exceeded");
    assert_eq!(problem["detail"], "the quota calls_per_day is 2: 2 are used, 1 more were asked for");
    limit(&app, &tenant, json!({ "storage_bytes": 2 * size })).await;
    // A conversation in writing stores no object.
    app.send(&app.admin(&tenant), &conversation(&tenant.sales)).await;
    // What has no room is refused before it is sent.
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let pieces = std::iter::repeat_n(Bytes::from(vec![7; 65_536]), 4_096).map(move |piece| {
        count.fetch_add(piece.len(), Ordering::Relaxed);
        Ok::<_, std::io::Error>(piece)
    });
    let request = app.admin(&tenant).request(Method::POST, &format!("/api/calls?organization_id={}", tenant.sales));
    let request = request.header("content-type", "application/octet-stream").timeout(Duration::from_secs(60));
    // The server may have closed the connection before its answer was read.
    match request.body(reqwest::Body::wrap_stream(stream::iter(pieces))).send().await {
        Ok(answer) => assert_eq!(answer.status().as_u16(), 403),
        Err(error) => assert!(!error.is_timeout(), "{error}"),
    }
    assert!(sent.load(Ordering::Relaxed) < 64 * 1024 * 1024, "most of 256 MiB stayed with the client");
    assert_eq!(used(&app, &tenant, "storage_bytes").await, 2 * size as u64);
    nothing_drifted(&app, &tenant).await;
    app.drain_all().await;
}

#[tokio::test]
async fn minutes_of_a_day_are_those_of_its_recordings() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let schema = &tenant.schema;
    limit(&app, &tenant, json!({"audio_minutes_per_day": 1})).await;
    record(&app, &tenant, wav(1)).await.expect(202); // a second
    let day = usage(&app, &tenant).await["days"][0].clone();
    assert_eq!((&day["audio_ms"], &day["stored_bytes"]), (&json!(1_000), &json!(wav(1).len())));
    app.database.execute(&format!("update {schema}.usage_days set audio_ms = 59000")).await;
    record(&app, &tenant, wav(2)).await.expect(202); // the last one
    assert_eq!(used(&app, &tenant, "audio_minutes_per_day").await, 1);
    let answer = record(&app, &tenant, wav(3)).await;
    assert_eq!(answer.header("retry-after"), "54000");
    let problem = answer.refused(429, "daily-quota-exceeded");
    assert_eq!(problem["detail"], "the quota audio_minutes_per_day is 1: 1.00 are used, 0.00 more were asked for");
    app.database.execute(&format!("update {schema}.usage_days set audio_ms = 59001")).await;
    let problem = record(&app, &tenant, wav(3)).await.refused(429, "daily-quota-exceeded");
    assert_eq!(problem["detail"], "the quota audio_minutes_per_day is 1: 0.99 are used, 0.02 more were asked for");
    // Conversations in writing have no minutes.
    limit(&app, &tenant, json!({"audio_minutes_per_day": 0})).await;
    app.send(&admin, &conversation(&tenant.sales)).await;
    record(&app, &tenant, wav(3)).await.refused(429, "daily-quota-exceeded");
    app.advance(54_000);
    limit(&app, &tenant, json!({"audio_minutes_per_day": 1})).await;
    record(&app, &tenant, wav(3)).await.expect(202);
    nothing_drifted(&app, &tenant).await;
    app.drain_all().await;
}

#[tokio::test]
async fn a_recording_of_unknown_length_counts_when_it_is_heard() {
    let behind = Recogniser { base_url: recogniser().await, api_key: SecretString::from("k") };
    let options = StandInOptions { recogniser: Some(behind), ..StandInOptions::default() };
    let app =
        TestApp::with_stand_ins(options, |config| config.speech.provider = Some(SpeechProvider::Assemblyai)).await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let mp3 = [b"ID3\x04\0\0\0\0\0\0".as_slice(), &[0; 600]].concat();
    let sent = record(&app, &tenant, mp3).await.expect(202);
    assert_eq!(usage(&app, &tenant).await["days"][0]["audio_ms"], 0);
    let known = record(&app, &tenant, wav(1)).await.expect(202);
    assert_eq!(usage(&app, &tenant).await["days"][0]["audio_ms"], 1_000);
    for id in [&sent, &known] {
        for _ in 0..500 {
            app.drain().await;
            if app.call(&admin, id["call_id"].as_str().unwrap()).await["status"] == "evaluated" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            app.advance(1);
        }
    }
    app.drain_all().await;
    let heard = usage(&app, &tenant).await["days"][0].clone();
    assert_eq!((&heard["audio_ms"], &heard["evaluations"]), (&json!(2_000), &json!(2)), "{heard}");
    assert!(heard["prompt_tokens"].as_i64().unwrap() > 0 && heard["completion_tokens"].as_i64().unwrap() > 0);
    nothing_drifted(&app, &tenant).await;
}

#[tokio::test]
async fn waiting_jobs_of_all_organizations_count() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let other = app.ready_tenant("zeta").await;
    limit(&app, &tenant, json!({"waiting_jobs": 2})).await;
    let admin = app.admin(&tenant);
    for organization in [&tenant.sales, &tenant.support] {
        app.send(&admin, &conversation(organization)).await;
    }
    app.send(&app.admin(&other), &conversation(&other.sales)).await;
    // Somebody who knows of sales alone is refused for what waits in support.
    let seller = app.caller(&tenant, "eve", "evaluator", &["sales"]);
    let answer = seller.post("/api/calls", &conversation(&tenant.sales)).await;
    assert_eq!(answer.header("retry-after"), "30");
    let problem = answer.refused(429, "too-many-waiting-jobs");
    assert_eq!(problem["detail"], "the quota waiting_jobs is 2: 2 are used, 1 more were asked for");
    record(&app, &tenant, wav(1)).await.refused(429, "too-many-waiting-jobs");
    assert_eq!(used(&app, &tenant, "waiting_jobs").await, 2);
    // A running job counts as well, a dead one does not.
    app.database
        .execute("update platform.jobs set status = 'leased', lease_token = job_id, leased_until = 'infinity'")
        .await;
    record(&app, &tenant, wav(1)).await.refused(429, "too-many-waiting-jobs");
    app.database.execute("update platform.jobs set status = 'ready', lease_token = null, leased_until = null").await;
    app.drain_all().await;
    app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    // A call that failed is retried when there is room for its job.
    let bare = app.organization_without_criteria(&tenant).await;
    let failed = app.send(&admin, &conversation(&bare)).await;
    app.drain_all().await;
    assert_eq!(app.call(&admin, &failed).await["status"], "failed");
    limit(&app, &tenant, json!({"waiting_jobs": 0})).await;
    let retry = format!("/api/calls/{failed}/retry");
    admin.post(&retry, &json!({})).await.refused(429, "too-many-waiting-jobs");
    app.publish(&tenant, &bare, &scorecard()).await;
    limit(&app, &tenant, json!({"waiting_jobs": 1})).await;
    admin.post(&retry, &json!({})).await.expect(200);
    app.drain_all().await;
    assert_eq!(app.call(&admin, &failed).await["status"], "evaluated");
    app.finish().await;
}

#[allow(clippy::disallowed_methods, reason = "a test's own grant")]
async fn bind(app: &TestApp, tenant: &TestTenant, component: &'static [u8], quotas: Quotas) -> Result<(), BindError> {
    let organization = tenant.sales.parse().unwrap();
    let grant = Grant::system(tenant.id, tenant.root, organization, "test", Permission::ManagePlugins);
    let new = NewBinding {
        organization,
        component: Bytes::from_static(component),
        settings: serde_json::from_str(EXAMPLE_SETTINGS).unwrap(),
        policy: FailurePolicy::Fail,
    };
    let (db, objects, plugins) = (app.app.db(), app.app.objects().as_ref(), &app.app.means().plugins);
    binding::bind(db, objects, plugins, &grant, &quotas, new, app.now()).await.map(|_| ())
}

#[tokio::test]
async fn plugin_versions_count_once_each() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let (none, one) =
        (Quotas { plugins: Some(0), ..Quotas::default() }, Quotas { plugins: Some(1), ..Quotas::default() });
    let refused = bind(&app, &tenant, content::plugin(), none).await;
    let Err(BindError::Quota(QuotaError::Exceeded(exceeded))) = refused else { panic!("{refused:?}") };
    assert_eq!(exceeded.to_string(), "the quota plugins is 0: 0 are used, 1 more were asked for");
    nothing_drifted(&app, &tenant).await;
    bind(&app, &tenant, content::plugin(), one).await.unwrap();
    // The same version is no new one, even where there is room for none.
    bind(&app, &tenant, content::plugin(), none).await.unwrap();
    assert_eq!(used(&app, &tenant, "plugins").await, 1);
    let size = content::plugin().len() as u64;
    assert_eq!(used(&app, &tenant, "storage_bytes").await, size);
    // Plugins and recordings share the storage.
    limit(&app, &tenant, json!({"storage_bytes": size})).await;
    record(&app, &tenant, wav(1)).await.refused(403, "quota-exceeded");
    nothing_drifted(&app, &tenant).await;
    app.finish().await;
}

#[tokio::test]
async fn quotas_are_set_by_operators_and_read_by_the_tenant() {
    let app = TestApp::start().await;
    let (tenant, other) = (app.ready_tenant("acme").await, app.ready_tenant("zeta").await);
    let (operator, admin) = (app.operator(), app.admin(&tenant));
    let path = format!("/api/tenants/{}/quotas", tenant.id);
    let first = admin.get(&path).await;
    assert_eq!((first.status, &first.body), (200, &json!({})));
    let tag = first.header("etag").to_owned();
    put(&admin, &tenant, &json!({"plugins": 5}), "*").await.refused(403, "forbidden");
    let unnamed = operator.request(Method::PUT, &path).json(&json!({"plugins": 5}));
    Answer::to(unnamed).await.refused(428, "precondition-required");
    let set = put(&operator, &tenant, &json!({"plugins": 5, "calls_per_day": 7}), &tag).await;
    assert_eq!((set.status, &set.body), (200, &json!({"calls_per_day": 7, "plugins": 5})));
    put(&operator, &tenant, &json!({}), &tag).await.refused(412, "stale-revision");
    assert_eq!(admin.get(&path).await.body, set.body);
    let known = admin.request(Method::GET, &path).header("if-none-match", set.header("etag"));
    assert_eq!(Answer::to(known).await.status, 304);
    for (bad, slug) in [
        (json!({"plugins": -1}), "validation"),
        (json!({"plugins": 1.5}), "validation"),
        (json!({"plugins": "many"}), "validation"),
        (json!({"plugins": 9_007_199_254_740_992_u64}), "validation"),
        (json!({"plugins": u64::MAX}), "validation"),
        (json!({"seats": 1}), "unknown-field"),
    ] {
        let answer = put(&operator, &tenant, &bad, "*").await;
        let said = answer.body["type"].clone();
        assert!(
            answer.status == 400 && (said == format!("/problems/{slug}") || said == "/problems/bad-request"),
            "{bad}: {}",
            answer.body
        );
    }
    assert_eq!(admin.get(&path).await.body, set.body);
    let events =
        "select count(*) from platform.audit_events where action = 'tenant.quotas_set' and actor = 'operator:olga'
        and details = '{\"old\": {}, \"new\": {\"plugins\": 5, \"calls_per_day\": 7}}' and request_id is not null";
    assert_eq!(app.database.count(events).await, 1);
    assert_eq!(
        app.database
            .count("select count(*) from platform.tenants where quotas <> '{}' and changed_at = (select max(changed_at) from platform.tenants)")
            .await,
        1
    );

    // A foreign tenant is none, and so is one that nobody has.
    let nobody = "00000000-0000-7000-8000-000000000000".to_owned();
    for id in [&other.id.to_string(), &nobody] {
        for tail in ["usage", "quotas"] {
            admin.get(&format!("/api/tenants/{id}/{tail}")).await.refused(404, "not-found");
        }
    }
    operator.get(&format!("/api/tenants/{nobody}/usage")).await.refused(404, "not-found");
    let seller = app.caller(&tenant, "eve", "organization_admin", &["sales"]);
    seller.get(&path).await.refused(403, "forbidden");
    app.caller(&tenant, "ada", "auditor", &[]).get(&path).await.expect(200);
}

#[tokio::test]
async fn usage_is_numbers_for_the_tenant_and_for_operators() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    app.send(&app.admin(&tenant), &conversation(&tenant.sales)).await;
    app.drain_all().await;
    let path = format!("/api/tenants/{}/usage", tenant.id);
    let seen = app.operator().get(&path).await.expect(200);
    assert_eq!(seen, usage(&app, &tenant).await);
    assert_eq!((&seen["from"], &seen["to"]), (&json!("2026-10-25"), &json!("2026-11-23")));
    let day = &seen["days"][0];
    assert_eq!((&day["calls"], &day["audio_ms"], &day["evaluations"]), (&json!(1), &json!(0), &json!(1)));
    let before = app.operator().get(&format!("{path}?from=2026-01-01&to=2026-11-22")).await.expect(200);
    assert_eq!(before["days"], json!([]));
    for bad in ["from=2026-11-24", "from=2025-10-19", "to=1066-10-14", "from=yesterday", "to=2026-02-30"] {
        let answer = app.operator().get(&format!("{path}?{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.body);
    }
    // A tenant that is not served can still be looked at from outside, one that is not there yet cannot.
    for (status, code) in [("suspended", 200), ("leaving", 200), ("provisioning", 503), ("destroyed", 409)] {
        app.database.execute(&format!("update platform.tenants set status = '{status}'")).await;
        assert_eq!(app.operator().get(&path).await.status, code, "{status}");
    }
    put(&app.operator(), &tenant, &json!({}), "*").await.refused(409, "illegal-state");
}

#[tokio::test]
async fn without_readable_quotas_nothing_new_is_taken() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let path = format!("/api/tenants/{}/quotas", tenant.id);
    // After an edit this server asks anew.
    limit(&app, &tenant, json!({})).await;
    app.database.execute(r#"update platform.tenants set quotas = '{"seats": 1}'"#).await;
    admin.post("/api/calls", &conversation(&tenant.sales)).await.refused(500, "internal");
    record(&app, &tenant, wav(1)).await.refused(500, "internal");
    admin.get(&path).await.refused(500, "internal");
    admin.get("/api/calls").await.expect(200);
    limit(&app, &tenant, json!({})).await;
    admin.get(&path).await.expect(200);
    record(&app, &tenant, wav(1)).await.expect(202);
    app.drain_all().await;
}

#[tokio::test]
async fn the_command_line_sets_and_shows() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    app.send(&app.admin(&tenant), &conversation(&tenant.sales)).await;
    let directory = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str]| {
        let mut program = Program::on(directory.path(), &app.database);
        program.args(["tenant"]);
        for argument in arguments {
            program.args([*argument]);
        }
        cli::run(program, Duration::from_secs(60)).await
    };
    let set = run(&["quotas", "acme", "--set", "calls_per_day=1", "--set", "plugins=0", "--json"]).await;
    assert_eq!(set.code, Some(0), "{set:?}");
    assert_eq!(serde_json::from_str::<Value>(&set.stdout).unwrap(), json!({"calls_per_day": 1, "plugins": 0}));
    let lifted = run(&["quotas", &tenant.id.to_string(), "--set", "plugins=none"]).await;
    assert!(lifted.code == Some(0) && lifted.stdout.contains("calls_per_day"), "{lifted:?}");
    let path = format!("/api/tenants/{}/quotas", tenant.id);
    assert_eq!(app.operator().get(&path).await.expect(200), json!({"calls_per_day": 1}));
    let shown = run(&["usage", "acme", "--from", "2026-11-23", "--to", "2026-11-23", "--json"]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&shown["days"][0]["calls"], &shown["quotas"][4]["used"]), (&json!(1), &json!(1)), "{shown}");
    for (bad, code) in [
        (vec!["quotas", "nobody"], 2),
        (vec!["usage", "acme'; drop table tenants; --"], 2),
        (vec!["quotas", "acme", "--set", "calls_per_day=-1"], 2),
        (vec!["quotas", "acme", "--set", "seats=1"], 2),
    ] {
        let ended = run(&bad).await;
        assert_eq!(ended.code, Some(code), "{bad:?}: {ended:?}");
    }
    app.drain_all().await;
    app.finish().await;
}
