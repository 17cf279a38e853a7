//! Back-tests: versions that nobody bound score stored calls, and what would be otherwise is told. Nothing is changed by it.

use std::time::Duration;

use object_store::ObjectStoreExt;
use plumbline::{
    foundation::{digest, ids::BacktestId},
    platform::plugins::{Limits, PluginHost},
    product::evaluations::backtest::{
        model::Standing,
        run::{Pace, Runner, Went},
        store,
    },
};
use serde_json::{Value, json};

use crate::{
    hostile::attack_named,
    plugins::EXAMPLE,
    scorers::{EXAMPLE_SETTINGS, bind},
    support::{Client, TestApp, TestTenant, conversation, scorecard},
};

/// Keeps a version with the tenant, bound to nobody; returns its digest.
pub async fn keep(app: &TestApp, tenant: &TestTenant, component: &[u8], world: &str) -> String {
    let digest = digest::of_bytes(component);
    let key = format!("{}/plugins/{digest}.wasm", tenant.id);
    let at = object_store::path::Path::from(key.as_str());
    app.app.objects().put(&at, component.to_vec().into()).await.unwrap();
    app.database
        .execute(&format!(
            "insert into {}.plugin_versions (digest, organization_id, name, version, world, size_bytes, object_key, created_at)
             values ('{digest}', '{}', 'example', '1.0.0', '{world}', {}, '{key}', now())",
            tenant.schema,
            tenant.root,
            component.len()
        ))
        .await;
    digest
}

/// A finished back-test of the example: its version, and its id.
pub async fn finished(app: &TestApp, tenant: &TestTenant) -> (String, String) {
    let digest = keep(app, tenant, EXAMPLE, "scorer").await;
    let body = json!({"organization_id": tenant.sales, "settings": settings()});
    let begun = app.admin(tenant).post(&format!("/api/plugins/{digest}/backtests"), &body).await.expect(202);
    app.drain_all().await;
    (digest, begun["backtest_id"].as_str().unwrap().to_owned())
}

fn settings() -> Value {
    serde_json::from_str(EXAMPLE_SETTINGS).unwrap()
}

/// A tenant whose calls pass from 86 points on: 87.5 passes, and 85 does not.
async fn with_a_pass_mark(app: &TestApp) -> TestTenant {
    let tenant = app.tenant("acme").await;
    let mut definition = scorecard();
    definition["pass_mark"] = json!(86);
    app.publish(&tenant, &tenant.sales, &definition).await;
    tenant
}

/// Evaluated calls; the first is an agent's, by a queue.
async fn evaluated(app: &TestApp, tenant: &TestTenant, calls: usize) -> (String, Vec<String>) {
    let (agent, _) = app.agent(tenant, &tenant.sales, "abe").await;
    let mut sent = vec![];
    for n in 0..calls {
        let mut call = conversation(&tenant.sales);
        if n == 0 {
            (call["agent_id"], call["queue"]) = (json!(agent), json!("billing"));
        }
        sent.push(app.send(&app.admin(tenant), &call).await);
    }
    app.drain_all().await;
    (agent, sent)
}

/// Everything that is kept of the evaluations.
async fn kept(app: &TestApp, tenant: &TestTenant) -> String {
    let text = format!(
        "select (select md5(string_agg(e::text, ',' order by evaluation_id)) from {0}.evaluations e)
             || (select md5(string_agg(s::text, ',' order by evaluation_id, criterion_key)) from {0}.scores s)
             || (select md5(string_agg(c::text, ',' order by call_id)) from {0}.calls c)",
        tenant.schema
    );
    app.database.connect().await.query_one(&text, &[]).await.unwrap().get(0)
}

async fn begun(client: &Client, digest: &str, body: &Value) -> (String, Value) {
    let begun = client.post(&format!("/api/plugins/{digest}/backtests"), body).await.expect(202);
    (format!("/api/plugins/{digest}/backtests/{}", begun["backtest_id"].as_str().unwrap()), begun)
}

#[tokio::test]
async fn a_draft_scores_stored_calls_and_changes_nothing() {
    let app = TestApp::start().await;
    let tenant = with_a_pass_mark(&app).await;
    let admin = app.admin(&tenant);
    let (agent, calls) = evaluated(&app, &tenant, 3).await;
    let digest = keep(&app, &tenant, EXAMPLE, "scorer").await;
    let (before, asked) = (kept(&app, &tenant).await, app.stand_ins.requests().chat_completions);
    let path = format!("/api/plugins/{digest}/backtests");
    let mut body = json!({"organization_id": tenant.sales, "settings": settings(), "dry_run": true});
    assert_eq!(admin.post(&path, &body).await.expect(200), json!({"calls": 3}));
    body["dry_run"] = json!(false);
    let begun = admin.post_once(&path, "one", &body).await.expect(202);
    assert_eq!(
        (&begun["status"], &begun["calls_total"], &begun["report"]),
        (&json!("waiting"), &json!(3), &Value::Null)
    );
    assert_eq!(admin.post_once(&path, "one", &body).await.expect(202)["backtest_id"], begun["backtest_id"]);
    admin.post(&path, &body).await.refused(409, "illegal-state");
    let at = format!("{path}/{}", begun["backtest_id"].as_str().unwrap());
    admin.get(&format!("{at}/plot.svg")).await.refused(409, "illegal-state");
    app.drain_all().await;

    let ended = admin.get(&at).await.expect(200);
    assert_eq!(
        (&ended["status"], &ended["calls_done"], &ended["calls_scored"]),
        (&json!("succeeded"), &json!(3), &json!(3)),
        "{ended:#}"
    );
    let report = &ended["report"];
    let all = json!({"calls": 3, "changed": 3, "to_pass": 0, "to_fail": 3, "mean_before": 87.5, "mean_after": 85.0});
    assert_eq!((&report["overall"], &report["digest"]), (&all, &json!(digest)));
    assert_eq!(report["settings_digest"], json!(digest::of_json(&settings())));
    assert_eq!((&report["faults"], &report["skipped"]), (&json!([]), &json!([])));
    let bins = report["distribution"].as_array().unwrap();
    assert_eq!((bins.len(), &bins[17]), (20, &json!({"from": 85, "to": 90, "before": 3, "after": 3})));
    let of_abe = report["agents"].as_array().unwrap().iter().find(|one| one["agent_id"] == json!(agent)).unwrap();
    assert_eq!((&of_abe["display_name"], &of_abe["tally"]["to_fail"]), (&json!("abe"), &json!(1)));
    let billing = report["teams"].as_array().unwrap().iter().find(|one| one["queue"] == "billing").unwrap();
    assert_eq!((&billing["tally"]["calls"], &billing["organization_id"]), (&json!(1), &json!(tenant.sales)));
    let criteria = report["criteria"].as_array().unwrap();
    assert!(criteria.len() == 5 && criteria.iter().all(|one| one["tally"]["changed"] == 0), "{criteria:?}");
    assert_eq!(report["largest"].as_array().unwrap().len(), 3);
    let named: Vec<_> = report["largest"].as_array().unwrap().iter().map(|one| &one["call_id"]).collect();
    assert!(calls.iter().all(|call| named.contains(&&json!(call))));
    assert!(
        report["took"]["fuel"]["p50"].as_u64().unwrap() > 0
            && report["took"]["memory_bytes"]["most"].as_u64().unwrap() > 0
    );
    assert_eq!((&report["determinism"]["sampled"], &report["determinism"]["unequal"]), (&json!(1), &json!(0)));

    let plot = admin.get(&format!("{at}/plot.svg")).await;
    assert_eq!((plot.status, plot.header("content-type")), (200, "image/svg+xml"));
    assert!(String::from_utf8_lossy(&plot.bytes).contains("Mean 87.50 now, 85.00 in the back-test."));
    admin.post(&format!("{at}/cancel"), &json!({})).await.refused(409, "illegal-state");
    assert_eq!(kept(&app, &tenant).await, before, "nothing of the evaluations is changed");
    assert_eq!(app.stand_ins.requests().chat_completions, asked, "and nothing is asked");
    app.finish().await;
}

#[tokio::test]
async fn a_filter_takes_some_and_lists_show_all_of_a_version() {
    let app = TestApp::start().await;
    let tenant = with_a_pass_mark(&app).await;
    let admin = app.admin(&tenant);
    let (agent, calls) = evaluated(&app, &tenant, 3).await;
    let digest = keep(&app, &tenant, EXAMPLE, "scorer").await;
    let path = format!("/api/plugins/{digest}/backtests");
    let evaluation = app.analysis(&admin, &calls[0]).await.expect(200)["evaluation"].clone();
    for (filter, expected) in [
        (json!({"agent_id": agent}), 1),
        (json!({"queue": "billing"}), 1),
        (json!({"channel": "chat"}), 3),
        (json!({"channel": "phone"}), 0),
        (json!({"direction": "inbound"}), 0),
        (json!({"received_before": "2026-01-01T00:00:00Z"}), 0),
        (json!({"received_from": "2026-01-01T00:00:00Z", "most_calls": 2}), 2),
        (json!({"scorecard_id": evaluation["scorecard_id"]}), 3),
        (json!({"scorecard_version_id": "00000000-0000-7000-8000-000000000000"}), 0),
    ] {
        let body = json!({"organization_id": tenant.sales, "filter": filter, "dry_run": true});
        assert_eq!(admin.post(&path, &body).await.expect(200)["calls"], json!(expected), "{filter}");
    }
    for n in 1..=3 {
        let body = json!({"organization_id": tenant.sales, "settings": settings(), "filter": {"most_calls": n}});
        let (at, _) = begun(&admin, &digest, &body).await;
        app.drain_all().await;
        assert_eq!(admin.get(&at).await.expect(200)["calls_done"], json!(n), "the newest {n}");
        app.advance(1);
    }
    let first = admin.get(&format!("{path}?limit=2")).await.expect(200);
    let second =
        admin.get(&format!("{path}?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await.expect(200);
    let listed: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|one| &one["calls_total"])
        .collect();
    assert_eq!(listed, [&json!(3), &json!(2), &json!(1)], "newest first");
    let none = admin.get(&format!("{path}?organization_id={}", tenant.support)).await.expect(200);
    assert_eq!(none["items"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_tested_is_refused() {
    let app = TestApp::start().await;
    let (tenant, other) = (app.ready_tenant("acme").await, app.ready_tenant("globex").await);
    let admin = app.admin(&tenant);
    let digest = keep(&app, &tenant, EXAMPLE, "scorer").await;
    let path = format!("/api/plugins/{digest}/backtests");
    let body = json!({"organization_id": tenant.sales, "settings": settings()});
    let detail = admin.post(&path, &body).await.refused(422, "unprocessable")["detail"].clone();
    assert_eq!(detail, json!("no evaluated call of the organization fits"));
    evaluated(&app, &tenant, 1).await;

    let with = |key: &str, value: Value| {
        let mut body = body.clone();
        body[key] = value;
        body
    };
    admin.post(&path, &with("settings", json!({"longest_turn_words": "many"}))).await.refused(422, "unprocessable");
    admin.post(&path, &with("settings", json!({"a": "\u{0}"}))).await.refused(400, "validation");
    admin.post(&path, &with("organization_id", json!(other.sales))).await.refused(404, "not-found");
    admin.post(&path, &with("filter", json!({"most_calls": 0}))).await.refused(400, "validation");
    admin.post(&path, &with("filter", json!({"most_calls": 100_001}))).await.refused(400, "validation");
    admin.post(&path, &with("filter", json!({"channel": "fax"}))).await.refused(400, "validation");
    admin.post(&path, &with("filter", json!({"queue": "\u{0}"}))).await.refused(400, "validation");
    admin.post(&path, &with("filter", json!({"team": "x"}))).await.refused(400, "unknown-field");
    admin.post(&path, &with("more", json!(1))).await.refused(400, "unknown-field");
    for nothing in ["0".repeat(64), "x".to_owned(), digest.to_uppercase()] {
        let path = format!("/api/plugins/{nothing}/backtests");
        admin.post(&path, &body).await.refused(404, "not-found");
        admin.get(&path).await.refused(404, "not-found");
    }
    // A draft of another tenant's is not there.
    let theirs = json!({"organization_id": other.sales, "settings": settings()});
    app.admin(&other).post(&path, &theirs).await.refused(404, "not-found");
    app.caller(&tenant, "eve", "organization_admin", &["sales"]).post(&path, &body).await.refused(403, "forbidden");
    let prompts = keep(&app, &tenant, &attack_named("prompt_is_empty"), "prompt_builder").await;
    let refused = admin.post(&format!("/api/plugins/{prompts}/backtests"), &body).await.refused(422, "unprocessable");
    assert!(refused["detail"].as_str().unwrap().contains("asked again about every call, and paid"), "{refused}");
    let nowhere = format!("{path}/00000000-0000-7000-8000-000000000000");
    admin.get(&nowhere).await.refused(404, "not-found");
    admin.get(&format!("{nowhere}/plot.svg")).await.refused(404, "not-found");
    admin.post(&format!("{nowhere}/cancel"), &json!({})).await.refused(404, "not-found");
    let (_, id) = {
        let (at, begun) = begun(&admin, &digest, &body).await;
        app.drain_all().await;
        (at, begun["backtest_id"].as_str().unwrap().to_owned())
    };
    admin.get(&format!("/api/plugins/{prompts}/backtests/{id}")).await.refused(404, "not-found");
    app.finish().await;
}

#[tokio::test]
async fn the_bound_version_computes_its_own_scores_again_to_the_last_digit() {
    let app = TestApp::start().await;
    let tenant = with_a_pass_mark(&app).await;
    let admin = app.admin(&tenant);
    bind(&app, &tenant, EXAMPLE, EXAMPLE_SETTINGS, "fail").await;
    evaluated(&app, &tenant, 3).await;
    let body = json!({"organization_id": tenant.sales, "settings": settings()});
    // The test binds it as the organization's own; a version is the tenant's.
    app.database
        .execute(&format!("update {}.plugin_versions set organization_id = '{}'", tenant.schema, tenant.root))
        .await;
    let (at, _) = begun(&admin, &digest::of_bytes(EXAMPLE), &body).await;
    app.drain_all().await;
    let report = admin.get(&at).await.expect(200)["report"].clone();
    let same = json!({"calls": 3, "changed": 0, "to_pass": 0, "to_fail": 0, "mean_before": 85.0, "mean_after": 85.0});
    assert_eq!(report["overall"], same, "{report:#}");
    assert!(report["criteria"].as_array().unwrap().iter().all(|one| one["tally"]["changed"] == 0));
    app.finish().await;
}

/// What a plugin answered is answered by the tested version, and what follows from it as well.
#[tokio::test]
async fn criteria_of_the_plugins_are_answered_anew() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let rule = |phrase: &str| json!({"yes_when": {"phrase": {"any_of": [phrase], "speaker": "agent"}}});
    let definition = json!({"name": "Plugin", "pass_mark": 60, "sections": [{"key": "s", "name": "S", "criteria": [
        {"key": "greeted", "question": "Greeted?", "answered_by": "rule", "rule": rule("good morning")},
        {"key": "lets_speak", "question": "Lets speak?", "answered_by": "plugin"}]}]});
    app.publish(&tenant, &tenant.sales, &definition).await;
    let settings = |longest: u32| json!({"longest_turn_words": longest, "deduct_hundredths": 0, "channels": ["chat"], "answers": "lets_speak"});
    bind(&app, &tenant, EXAMPLE, &settings(8).to_string(), "fail").await;
    evaluated(&app, &tenant, 2).await;
    app.database
        .execute(&format!("update {}.plugin_versions set organization_id = '{}'", tenant.schema, tenant.root))
        .await;
    let digest = digest::of_bytes(EXAMPLE);
    for (longest, after, to_pass) in [(8, 50.0, 0), (20, 100.0, 2)] {
        let body = json!({"organization_id": tenant.sales, "settings": settings(longest)});
        let (at, _) = begun(&admin, &digest, &body).await;
        app.drain_all().await;
        let report = admin.get(&at).await.expect(200)["report"].clone();
        let overall = &report["overall"];
        assert_eq!(
            (&overall["mean_before"], &overall["mean_after"], &overall["to_pass"]),
            (&json!(50.0), &json!(after), &json!(to_pass)),
            "{report:#}"
        );
        let answered = report["criteria"].as_array().unwrap().iter().find(|one| one["key"] == "lets_speak").unwrap();
        assert_eq!(answered["tally"]["to_pass"], json!(to_pass));
    }
    app.finish().await;
}

#[tokio::test]
async fn faults_are_counted_and_changed_transcripts_are_left_out() {
    let app = TestApp::start().await;
    let tenant = with_a_pass_mark(&app).await;
    let admin = app.admin(&tenant);
    let (_, calls) = evaluated(&app, &tenant, 3).await;
    let corrections = json!({"version": 1, "corrections": [{"utterance": 2, "text": "My gateway is up."}]});
    admin.post(&format!("/api/calls/{}/transcript/corrections", calls[0]), &corrections).await.expect(200);
    let body = json!({"organization_id": tenant.sales});
    let digest = keep(&app, &tenant, &attack_named("trap_unreachable"), "scorer").await;
    let (at, _) = begun(&admin, &digest, &body).await;
    app.drain_all().await;
    let ended = admin.get(&at).await.expect(200);
    assert_eq!(
        (&ended["status"], &ended["calls_done"], &ended["calls_scored"]),
        (&json!("succeeded"), &json!(3), &json!(0))
    );
    let report = &ended["report"];
    assert_eq!(report["skipped"], json!([{"reason": "transcript_changed", "calls": 1}]));
    assert_eq!((&report["faults"][0]["code"], &report["faults"][0]["calls"]), (&json!("trap"), &json!(2)));
    assert_eq!(report["faults"][0]["examples"].as_array().unwrap().len(), 2);
    assert_eq!((&report["overall"]["calls"], &report["overall"]["mean_after"]), (&json!(0), &Value::Null));
    app.finish().await;
}

/// A run by hand, a call at a time, as if its process ended whenever it is told to.
struct ByHand {
    host: PluginHost,
    grant: plumbline::foundation::access::Grant,
    id: BacktestId,
}

impl ByHand {
    async fn begin(app: &TestApp, tenant: &TestTenant, at: &str) -> Self {
        let grant = app.grant(tenant, &tenant.sales);
        let id = at.rsplit('/').next().unwrap().parse::<uuid::Uuid>().map(BacktestId).unwrap();
        assert!(store::begin(&app.app.db().alone(&grant), id, app.now()).await.unwrap());
        Self { host: PluginHost::new(Limits { concurrency: 2, ..Limits::default() }).unwrap(), grant, id }
    }

    async fn standing(&self, app: &TestApp) -> Standing {
        store::find_standing(&app.app.db().alone(&self.grant), self.id).await.unwrap().unwrap()
    }

    async fn go_on(&self, app: &TestApp, standing: &mut Standing) -> Result<Went, String> {
        let plugin = self.host.load(EXAMPLE).await.unwrap();
        let pace = Pace { batch: 2, save: Duration::ZERO, slice: Duration::ZERO, at_once: 2 };
        let db = app.app.db();
        let runner = Runner { db, grant: &self.grant, clock: &app.clock, plugin: &plugin, pace };
        runner.go_on(standing).await.map_err(|error| error.code().to_owned())
    }
}

#[tokio::test]
async fn whoever_takes_it_up_again_counts_no_call_twice() {
    let app = TestApp::start().await;
    let tenant = with_a_pass_mark(&app).await;
    let admin = app.admin(&tenant);
    evaluated(&app, &tenant, 5).await;
    let digest = keep(&app, &tenant, EXAMPLE, "scorer").await;
    let (at, _) = begun(&admin, &digest, &json!({"organization_id": tenant.sales, "settings": settings()})).await;
    let hand = ByHand::begin(&app, &tenant, &at).await;
    let mut first = hand.standing(&app).await;
    let mut late = first.clone();
    assert_eq!(hand.go_on(&app, &mut first).await, Ok(Went::On));
    let running = admin.get(&at).await.expect(200);
    assert_eq!((&running["status"], &running["calls_done"]), (&json!("running"), &json!(1)));
    assert_eq!(hand.go_on(&app, &mut late).await, Err("lease_lost".to_owned()), "somebody else was there before");
    let mut second = hand.standing(&app).await;
    assert_eq!((second.found.done, second.found.scored), (1, 1));
    assert_eq!(hand.go_on(&app, &mut second).await, Ok(Went::On));
    // A call that arrives meanwhile is none of its calls.
    app.advance(60);
    app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    let ended = admin.get(&at).await.expect(200);
    assert_eq!((&ended["status"], &ended["calls_done"]), (&json!("succeeded"), &json!(5)), "{ended:#}");
    assert_eq!((&ended["report"]["calls"], &ended["report"]["overall"]["calls"]), (&json!(5), &json!(5)));
    assert_eq!(ended["report"]["largest"].as_array().unwrap().len(), 5);
    let mut over = hand.standing(&app).await;
    over.backtest.calls_total += 1;
    assert_eq!(hand.go_on(&app, &mut over).await, Err("lease_lost".to_owned()), "it has ended");
    app.finish().await;
}

#[tokio::test]
async fn it_is_called_off_before_it_begins_and_in_the_middle() {
    let app = TestApp::start().await;
    let tenant = with_a_pass_mark(&app).await;
    let admin = app.admin(&tenant);
    evaluated(&app, &tenant, 3).await;
    let digest = keep(&app, &tenant, EXAMPLE, "scorer").await;
    let body = json!({"organization_id": tenant.sales, "settings": settings()});
    let (at, _) = begun(&admin, &digest, &body).await;
    assert_eq!(admin.post(&format!("{at}/cancel"), &json!({})).await.expect(200)["cancel_requested"], json!(true));
    app.drain_all().await;
    let ended = admin.get(&at).await.expect(200);
    assert_eq!((&ended["status"], &ended["report"]), (&json!("cancelled"), &Value::Null));

    let (at, _) = begun(&admin, &digest, &body).await;
    let hand = ByHand::begin(&app, &tenant, &at).await;
    admin.post(&format!("{at}/cancel"), &json!({})).await.expect(200);
    let mut standing = hand.standing(&app).await;
    assert_eq!(hand.go_on(&app, &mut standing).await, Ok(Went::Cancelled));
    app.drain_all().await;
    let ended = admin.get(&at).await.expect(200);
    assert_eq!((&ended["status"], &ended["report"]["calls"]), (&json!("cancelled"), &json!(1)), "{ended:#}");
    admin.get(&format!("{at}/plot.svg")).await.expect(200);
    app.finish().await;
}

#[tokio::test]
async fn a_lost_component_fails_it_after_the_last_attempt() {
    let app = TestApp::start().await;
    let tenant = with_a_pass_mark(&app).await;
    let admin = app.admin(&tenant);
    evaluated(&app, &tenant, 1).await;
    let digest = keep(&app, &tenant, EXAMPLE, "scorer").await;
    let body = json!({"organization_id": tenant.sales, "settings": settings()});
    let (at, _) = begun(&admin, &digest, &body).await;
    // Another process, which has never seen the component, and whose store has lost it.
    let lost = "f".repeat(64);
    app.database
        .execute(&format!(
            "insert into {0}.plugin_versions (digest, organization_id, name, version, world, size_bytes, object_key, created_at)
                 select '{lost}', organization_id, name, version, world, size_bytes, 'nowhere', now() from {0}.plugin_versions;
             update {0}.backtests set digest = '{lost}'",
            tenant.schema
        ))
        .await;
    for _ in 0..8 {
        app.drain().await;
        app.advance(1_000);
    }
    let ended = admin.get(&at.replace(&digest, &lost)).await.expect(200);
    assert_eq!(
        (&ended["status"], &ended["failure"]),
        (&json!("failed"), &json!("the plugin is not in the object store"))
    );
    assert_eq!(app.jobs(&tenant, "dead").await.len(), 1);
    let (at, _) = begun(&admin, &digest, &body).await;
    app.drain_all().await;
    assert_eq!(admin.get(&at).await.expect(200)["status"], json!("succeeded"), "another one may begin");
    app.finish().await;
}
