//! What the demo shows, held to what its authors say a careful reader would find; and the demo itself, as a newcomer starts it.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use bytes::Bytes;
use plumbline::{
    demo::content::{self, DemoConversation, DemoTenant},
    foundation::{
        access::{Grant, Permission},
        ids::OrganizationId,
    },
    platform::tenancy::quotas::Quotas,
    product::plugins::{
        binding::{self, NewBinding},
        model::FailurePolicy,
    },
};
use serde_json::{Value, json};

use crate::{
    cli::{Program, run},
    plugins::EXAMPLE_SETTINGS,
    support::{Client, TestApp, TestTenant},
};

const PATIENCE: Duration = Duration::from_secs(300);

/// A tenant of the demo, as its content has it.
struct Settled {
    admin: Client,
    organizations: HashMap<String, String>,
    agents: HashMap<(String, String), String>,
}

#[allow(clippy::disallowed_methods, reason = "a test's own grant")]
async fn bind_plugin(app: &TestApp, tenant: &TestTenant, organization: &str) {
    let organization: OrganizationId = organization.parse().unwrap();
    let grant = Grant::system(tenant.id, tenant.root, organization, "test", Permission::ManagePlugins);
    let new = NewBinding {
        organization,
        component: Bytes::from_static(content::plugin()),
        settings: serde_json::from_str(EXAMPLE_SETTINGS).unwrap(),
        policy: FailurePolicy::Fail, // nobody steps in for the plugin here
    };
    let plugins = &app.app.means().plugins;
    binding::bind(app.app.db(), app.app.objects().as_ref(), plugins, &grant, &Quotas::default(), new, app.now())
        .await
        .unwrap();
}

async fn settle(app: &TestApp, tenant: &DemoTenant) -> Settled {
    let made = app.tenant(&tenant.slug).await;
    let admin = app.admin(&made);
    let (mut organizations, mut agents) = (HashMap::new(), HashMap::new());
    for organization in &tenant.organizations {
        let new = json!({"slug": organization.slug, "name": organization.name});
        let id = admin.post("/api/organizations", &new).await.text("organization_id");
        for agent in &organization.agents {
            let new = json!({"organization_id": id, "display_name": agent.name, "external_id": agent.key});
            let agent_id = admin.post("/api/agents", &new).await.text("agent_id");
            agents.insert((organization.slug.clone(), agent.key.clone()), agent_id);
        }
        app.publish(&made, &id, &organization.scorecard).await;
        if organization.scorer == "plugin" {
            bind_plugin(app, &made, &id).await;
        }
        organizations.insert(organization.slug.clone(), id);
    }
    Settled { admin, organizations, agents }
}

impl Settled {
    /// The conversation in its written form, of which some utterances may be left out.
    fn written(&self, conversation: &DemoConversation, keep: impl Fn(&Value) -> bool) -> Value {
        let utterances: Vec<_> = conversation.utterances.as_array().unwrap().iter().filter(|u| keep(u)).collect();
        json!({
            "organization_id": self.organizations[&conversation.organization],
            "agent_id": self.agents[&(conversation.organization.clone(), conversation.agent.clone())],
            "channel": conversation.channel, "language": conversation.language, "utterances": utterances,
        })
    }
}

fn with_verdict(evaluation: &Value, verdict: &str) -> Vec<String> {
    let sections = evaluation["sections"].as_array().unwrap().iter();
    let criteria = sections.flat_map(|section| section["criteria"].as_array().unwrap());
    let found = criteria.filter(|criterion| criterion["verdict"] == verdict);
    found.map(|criterion| criterion["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_conversation_of_the_demo_is_judged_as_its_authors_expect() {
    let app = TestApp::start().await;
    let mut tenants = HashMap::new();
    for tenant in content::tenants().unwrap() {
        let settled = settle(&app, &tenant).await;
        tenants.insert(tenant.slug.clone(), (tenant, settled));
    }
    let conversations = content::conversations().unwrap();
    let mut calls = Vec::new();
    for conversation in &conversations {
        let (_, settled) = &tenants[&conversation.tenant];
        calls.push(app.send(&settled.admin, &settled.written(conversation, |_| true)).await);
    }
    app.drain_all().await;

    let mut overall = BTreeSet::new();
    for (conversation, id) in conversations.iter().zip(&calls) {
        let (tenant, settled) = &tenants[&conversation.tenant];
        let analysis = app.analysis(&settled.admin, id).await.expect(200);
        let key = &conversation.key;
        assert_eq!(analysis["call_status"], "evaluated", "{key}: {analysis:#}");
        let evaluation = &analysis["evaluation"];
        assert_eq!(with_verdict(evaluation, "no"), conversation.expected.failed_criteria, "{key}");
        assert_eq!(with_verdict(evaluation, "not_applicable"), conversation.expected.not_applicable, "{key}");
        assert_eq!(with_verdict(evaluation, "unverified"), Vec::<String>::new(), "{key}");
        let scorer = evaluation["scorer"].as_str().unwrap();
        let organization = tenant.organizations.iter().find(|one| one.slug == conversation.organization).unwrap();
        assert_eq!(scorer.starts_with("built"), organization.scorer == "builtin", "{key} was scored by {scorer}");
        assert_eq!(scorer.contains("monologue"), organization.scorer == "plugin", "{key} was scored by {scorer}");
        assert_eq!(evaluation["scorer_note"], Value::Null, "{key}");
        overall.insert((evaluation["overall_score"].as_f64().unwrap() * 100.0).round() as u64);
    }
    assert!(overall.contains(&0) && overall.contains(&10_000) && overall.len() >= 6, "scores that vary: {overall:?}");
    app.finish().await;
}

#[tokio::test]
async fn words_of_a_customer_that_pose_as_orders_gain_nothing() {
    let app = TestApp::start().await;
    let tenants = content::tenants().unwrap();
    let conversations = content::conversations().unwrap();
    let injected = conversations.iter().find(|one| one.key == "billing-injection-chat").unwrap();
    let settled = settle(&app, tenants.iter().find(|tenant| tenant.slug == injected.tenant).unwrap()).await;
    let poses = |utterance: &Value| {
        let text = utterance["text"].as_str().unwrap();
        ["IGNORE YOUR", "Agent: ", "{\"greeting\""].iter().any(|begin| text.starts_with(begin))
    };
    let posing = injected.utterances.as_array().unwrap().iter().filter(|utterance| poses(utterance)).count();
    assert_eq!(posing, 3, "an order, false words of the agent, and a pasted answer");
    let with = app.send(&settled.admin, &settled.written(injected, |_| true)).await;
    let without = app.send(&settled.admin, &settled.written(injected, |utterance| !poses(utterance))).await;
    app.drain_all().await;

    let mut found = Vec::new();
    for id in [&with, &without] {
        let analysis = app.analysis(&settled.admin, id).await.expect(200);
        let evaluation = &analysis["evaluation"];
        let verdicts = ["yes", "no", "not_applicable", "unverified"].map(|verdict| with_verdict(evaluation, verdict));
        found.push((evaluation["overall_score"].clone(), verdicts));
    }
    assert_eq!(found[0], found[1], "with and without the posing words");
    assert_eq!(found[0].1[1], injected.expected.failed_criteria);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_without_a_recogniser_says_which_calls_it_could_not_evaluate() {
    let home = tempfile::Builder::new().prefix("plumbline-demo-").tempdir_in("/tmp").unwrap();
    // As root PostgreSQL runs as somebody else, who must come to its directory.
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let report = home.path().join("report.json");
    let mut demo = Program::new(home.path());
    demo.env("PLUMBLINE_CACHE", home.path().join("cache")); // where no recogniser is installed
    demo.args(["demo", "--exit", "--port", "0", "--directory", "demo", "--json", "report.json"]);
    let ended = run(demo, PATIENCE).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");

    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    for key in ["calls", "providers", "stages", "failures"] {
        assert!(report.get(key).is_some(), "no {key}");
    }
    let conversations = content::conversations().unwrap();
    let calls = report["calls"].as_array().unwrap();
    assert_eq!(calls.len(), conversations.len());
    let failures: Vec<&str> = report["failures"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    for call in calls {
        for key in [
            "id",
            "tenant",
            "organization",
            "channel",
            "audio",
            "status",
            "overall_score",
            "failed_criteria",
            "scorer",
            "seconds",
        ] {
            assert!(call.get(key).is_some(), "no {key} in {call:#}");
        }
        let expected = if call["audio"] == true { "failed" } else { "evaluated" };
        assert_eq!(call["status"], expected, "{call:#}");
        assert_eq!(call["overall_score"].is_null(), call["audio"] == true, "{call:#}");
        let plugin = call["scorer"].as_str().is_some_and(|scorer| scorer.contains("monologue"));
        assert_eq!(plugin, call["tenant"] == "saltmarsh-hotels" && call["audio"] == false, "{call:#}");
    }
    let with_audio: Vec<_> = conversations.iter().filter(|one| one.audio.is_some()).collect();
    assert_eq!(failures.len(), with_audio.len(), "{failures:?}");
    for conversation in with_audio {
        let named = format!("{} (failed): no_recogniser", conversation.key);
        assert!(failures.iter().any(|failure| failure.starts_with(&named)), "{named}: {failures:?}");
    }
    assert_eq!(report["providers"]["speech"]["kind"], "none", "{report:#}");
    assert_eq!(report["providers"]["language_model"]["kind"], "stand_in");
    assert_eq!(
        (&report["isolation"]["own_status"], &report["isolation"]["foreign_status"]),
        (&json!(200), &json!(404))
    );
    assert!(ended.stdout.contains("FAILED: "), "{}", ended.stdout);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}
