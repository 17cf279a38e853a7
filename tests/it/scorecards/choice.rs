//! Which scorecard judges a call.

use serde_json::{Value, json};

use super::judged;
use crate::support::{TestApp, TestTenant, conversation, scorecard, stereo_wav};

async fn publish(app: &TestApp, tenant: &TestTenant, organization: &str, name: &str, applies_to: Value) -> String {
    app.advance(1); // the newest is known by its time
    let mut definition = scorecard();
    definition["name"] = json!(name);
    definition["applies_to"] = applies_to;
    app.publish(tenant, organization, &definition).await
}

/// The same rule in other words: of those that fit, the one with the most conditions, then the newest.
fn expected(published: &[(&str, Value)], call: &Value) -> Option<String> {
    let fits = |applies: &Value| {
        let any = |list: &str, holds: &dyn Fn(&str) -> bool| {
            applies[list]
                .as_array()
                .is_none_or(|all| all.is_empty() || all.iter().any(|one| holds(one.as_str().unwrap())))
        };
        let is = |field: &'static str| move |word: &str| call[field] == word;
        let language = call["language"].as_str().unwrap_or_default().to_lowercase();
        any("queues", &is("queue"))
            && any("channels", &is("channel"))
            && any("directions", &is("direction"))
            && any("languages", &|tag| {
                let tag = tag.to_lowercase();
                language == tag || language.starts_with(&format!("{tag}-"))
            })
            && applies["min_duration_ms"].as_i64().unwrap_or(0) <= call["duration"].as_i64().unwrap_or(0)
    };
    let conditions = |applies: &Value| applies.as_object().map_or(0, serde_json::Map::len);
    let fitting = published.iter().enumerate().filter(|(_, (_, applies))| fits(applies));
    fitting.max_by_key(|(n, (_, applies))| (conditions(applies), *n)).map(|(_, (name, _))| (*name).to_owned())
}

#[tokio::test]
async fn the_scorecard_with_the_most_conditions_that_fit_judges() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let published = [
        ("anything, old", json!({})),
        ("anything", json!({})),
        ("billing", json!({"queues": ["billing", "invoices"]})),
        ("chats", json!({"channels": ["chat"]})),
        ("outbound billing", json!({"queues": ["billing"], "directions": ["outbound"]})),
        ("english", json!({"languages": ["EN"]})),
        ("british billing mail", json!({"queues": ["billing"], "channels": ["email"], "languages": ["en-GB"]})),
        ("long", json!({"min_duration_ms": 6_000})),
        ("longer", json!({"min_duration_ms": 6_001})),
    ];
    for (name, applies_to) in &published {
        publish(&app, &tenant, &tenant.sales, name, applies_to.clone()).await;
    }
    let calls = [
        json!({"channel": "chat", "language": "de", "duration": 6_000}),
        json!({"channel": "email", "language": "de"}),
        json!({"channel": "email", "language": "en"}),
        json!({"channel": "email", "language": "en-gb"}),
        json!({"channel": "email", "language": "eng"}),
        json!({"channel": "email"}),
        json!({"channel": "email", "language": "de", "queue": "invoices"}),
        json!({"channel": "email", "language": "de", "queue": "Billing"}),
        json!({"channel": "chat", "queue": "billing", "direction": "outbound", "language": "en"}),
        json!({"channel": "chat", "queue": "billing", "direction": "inbound", "language": "fr"}),
        json!({"channel": "email", "queue": "billing", "direction": "outbound", "language": "en-GB"}),
        json!({"channel": "phone", "language": "de", "duration": 6_000}),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for call in calls {
        let mut change = call.clone();
        let turn = |text: &str| json!({"speaker": "agent", "text": text});
        let utterances = match change.as_object_mut().unwrap().remove("duration") {
            Some(_) => conversation(&tenant.sales)["utterances"].clone(),
            None => json!([turn("Good morning."), turn("I will.")]),
        };
        change["utterances"] = utterances;
        for absent in ["language", "queue", "direction"] {
            if change.get(absent).is_none() {
                change[absent] = Value::Null;
            }
        }
        let analysis = judged(&app, &tenant, &tenant.sales, change).await;
        let chosen = analysis["evaluation"]["scorecard_name"].as_str().unwrap_or_else(|| panic!("{call}: {analysis}"));
        assert_eq!(Some(chosen.to_owned()), expected(&published, &call), "{call}");
        seen.insert(chosen.to_owned());
    }
    assert!(seen.len() >= 6, "{seen:?}");
    app.finish().await;
}

#[tokio::test]
async fn a_call_may_name_its_scorecard_and_without_one_that_fits_it_fails_with_the_reason() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let german = publish(&app, &tenant, &tenant.sales, "German", json!({"languages": ["de"]})).await;
    let named = judged(&app, &tenant, &tenant.sales, json!({"scorecard_id": german})).await;
    assert_eq!(named["evaluation"]["scorecard_name"], "German", "whatever it is for: {named}");
    let failed = judged(&app, &tenant, &tenant.sales, json!({})).await;
    assert_eq!(
        (&failed["failed_stage"], &failed["failure_kind"]),
        (&json!("assess"), &json!("no_scorecard")),
        "{failed}"
    );
    // Of a scorecard its newest version counts, also when an older one would fit.
    let any = publish(&app, &tenant, &tenant.sales, "Any", json!({})).await;
    let call = failed["call_id"].as_str().unwrap();
    admin.post(&format!("/api/calls/{call}/retry"), &json!({})).await.expect(200);
    app.drain().await;
    assert_eq!(app.analysis(&admin, call).await.expect(200)["evaluation"]["scorecard_name"], "Any");
    let mut narrowed = scorecard();
    narrowed["name"] = json!("Any");
    narrowed["applies_to"] = json!({"queues": ["nobody's"]});
    super::write_draft(&admin, &any, &narrowed).await;
    super::post(&admin, &any, "publish").await.expect(201);
    assert_eq!(judged(&app, &tenant, &tenant.sales, json!({})).await["failure_kind"], "no_scorecard");
    // Nor does another organization's.
    publish(&app, &tenant, &tenant.support, "Theirs", json!({})).await;
    assert_eq!(judged(&app, &tenant, &tenant.sales, json!({})).await["failure_kind"], "no_scorecard");
    app.finish().await;
}

#[tokio::test]
async fn queue_and_direction_come_with_the_upload() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut sent = conversation(&tenant.sales);
    (sent["queue"], sent["direction"]) = (json!("Billing, 2nd line"), json!("inbound"));
    let made = admin.post("/api/calls", &sent).await.expect(202);
    let read = app.call(&admin, made["call_id"].as_str().unwrap()).await;
    assert_eq!((&read["queue"], &read["direction"]), (&json!("Billing, 2nd line"), &json!("inbound")));
    assert_eq!(admin.get("/api/calls").await.expect(200)["items"][0], read);
    let query = format!("organization_id={}&queue=billing&direction=outbound", tenant.sales);
    let recorded = admin.upload(&query, stereo_wav(7)).await.expect(202);
    assert_eq!((&recorded["queue"], &recorded["direction"]), (&json!("billing"), &json!("outbound")));
    for (field, wrong) in [
        ("queue", json!("")),
        ("queue", json!("q".repeat(201))),
        ("queue", json!("a\u{0}")),
        ("direction", json!("up")),
    ] {
        let mut sent = conversation(&tenant.sales);
        sent[field] = wrong;
        admin.post("/api/calls", &sent).await.refused(400, "validation");
    }
    let query = format!("organization_id={}&direction=sideways", tenant.sales);
    admin.upload(&query, stereo_wav(8)).await.refused(400, "validation");
    app.drain_all().await;
    app.finish().await;
}
