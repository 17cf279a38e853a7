//! `plumbline plugin push` and its sisters against a server, as authors and CI type them.

use std::{fs, path::Path, time::Duration};

use plumbline::foundation::digest;
use serde_json::Value;

use crate::{
    cli::{Ended, Program, run},
    hostile::attack_named,
    plugins::EXAMPLE,
    support::{Client, TestApp, conversation},
};

const PATIENCE: Duration = Duration::from_secs(120);

async fn plugin(directory: &Path, client: &Client, arguments: &[&str]) -> Ended {
    let mut program = Program::new(directory);
    program.env("PLUMBLINE_URL", &client.base).env("PLUMBLINE_TOKEN", client.token.as_deref().unwrap_or_default());
    program.0.arg("plugin").args(arguments);
    run(program, PATIENCE).await
}

#[track_caller]
fn well(ended: Ended) -> String {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout
}

/// One line, and a status that is not 0.
#[track_caller]
fn refused(ended: &Ended, words: &str) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.starts_with("plumbline: ") && ended.stderr.contains(words), "{ended:?}");
}

/// Does whatever is queued, without end.
async fn working(app: &TestApp) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        app.drain().await;
    }
}

#[tokio::test]
async fn a_component_is_pushed_bound_looked_at_and_rolled_back() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let (admin, home) = (app.admin(&tenant), tempfile::tempdir().unwrap());
    fs::write(home.path().join("scorer.wasm"), EXAMPLE).unwrap();
    fs::write(home.path().join("settings.json"), r#"{"longest_turn_words": 8}"#).unwrap();
    let digest = digest::of_bytes(EXAMPLE);

    let pushed = plugin(
        home.path(),
        &admin,
        &[
            "push",
            "scorer.wasm",
            "--bind",
            "sales",
            "--mode",
            "canary",
            "--share",
            "12.5",
            "--settings",
            "settings.json",
            "--json",
        ],
    );
    let pushed: Value = serde_json::from_str(&well(pushed.await)).unwrap();
    assert_eq!(pushed["plugin"]["digest"], digest.as_str());
    let binding = &pushed["binding"];
    assert_eq!((&binding["mode"], &binding["canary_share_percent"]), (&"canary".into(), &12.5.into()), "{binding}");
    assert_eq!(binding["settings"]["longest_turn_words"], 8);

    let listed = well(plugin(home.path(), &admin, &["list"]).await);
    assert!(listed.contains(&digest[..12]) && listed.contains("monologue_deduction"), "{listed}");
    for named in [digest.as_str(), &digest[..8], "monologue_deduction@1.1.0"] {
        let shown = well(plugin(home.path(), &admin, &["show", named]).await);
        assert!(shown.contains(&digest) && shown.contains("ok  settings_schema"), "{shown}");
    }
    let bound = well(plugin(home.path(), &admin, &["bind", &digest[..8], "sales", "--on-failure", "hold"]).await);
    assert!(bound.contains("is bound as active"), "{bound}");
    let listed = well(plugin(home.path(), &admin, &["bindings", "--organization", "sales", "--json"]).await);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let canary = binding["binding_id"].as_str().unwrap();
    let rolled = well(plugin(home.path(), &admin, &["rollback", canary]).await);
    assert!(rolled.contains("has ended; monologue_deduction 1.1.0 is bound as active"), "{rolled}");
    assert_eq!(well(plugin(home.path(), &admin, &["runs", &digest]).await), "no runs\n");
    let statistics = well(plugin(home.path(), &admin, &["statistics", &digest]).await);
    assert!(statistics.lines().any(|line| line.trim_start().starts_with("all")), "{statistics}");

    // A version over what is stored.
    let over =
        |more: &[&'static str]| [&["backtest", "monologue_deduction@1.1.0", "--organization", "sales"], more].concat();
    refused(&plugin(home.path(), &admin, &over(&[])).await, "no evaluated call of the organization fits");
    app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    let begun = well(plugin(home.path(), &admin, &over(&["--settings", "settings.json", "--json"])).await);
    let begun: Value = serde_json::from_str(&begun).unwrap();
    assert_eq!((&begun["status"], &begun["calls_total"]), (&"waiting".into(), &1.into()));
    refused(&plugin(home.path(), &admin, &over(&["--watch"])).await, "(409)");
    app.drain_all().await;
    let watched = over(&["--calls", "10", "--watch"]);
    let watched = tokio::select! {
        ended = plugin(home.path(), &admin, &watched) => ended,
        () = working(&app) => unreachable!("it never ends"),
    };
    let watched = well(watched);
    assert!(watched.contains("succeeded, 1 of 1 calls") && watched.contains("greeting"), "{watched}");

    // What is refused is one line and a status that is not 0.
    refused(&plugin(home.path(), &admin, &["rollback", canary]).await, "Not possible in this state (409)");
    refused(&plugin(home.path(), &admin, &["rollback", "../tenants"]).await, "is no id");
    refused(&plugin(home.path(), &admin, &["show", "nothing@1"]).await, "there is no plugin nothing@1");
    refused(&plugin(home.path(), &admin, &["bind", &digest, "nowhere"]).await, "there is no organization nowhere");
    refused(&plugin(home.path(), &admin, &["push", "absent.wasm"]).await, "absent.wasm cannot be read");
    fs::write(home.path().join("clock.wasm"), attack_named("import_clock")).unwrap();
    refused(
        &plugin(home.path(), &admin, &["push", "clock.wasm"]).await,
        "The plugin is refused (422): the component imports",
    );
    let evaluator = app.caller(&tenant, "eve", "evaluator", &["sales"]);
    refused(&plugin(home.path(), &evaluator, &["push", "scorer.wasm"]).await, "(403)");
    let nobody = Client::new(admin.base.clone(), Some("secret-of-nobody".to_owned()));
    let ended = plugin(home.path(), &nobody, &["list"]).await;
    refused(&ended, "(401)");
    assert!(!ended.stderr.contains("secret-of-nobody"));
    refused(&plugin(home.path(), &app.anonymous(), &["list"]).await, "PLUMBLINE_TOKEN is needed");
    let gone = Client::new("http://127.0.0.1:9".to_owned(), admin.token.clone());
    refused(&plugin(home.path(), &gone, &["list"]).await, "cannot be asked");
    app.finish().await;
}
