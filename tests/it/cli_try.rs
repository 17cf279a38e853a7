//! `plumbline try` as QA managers and CI type it: the worked example of docs/TRY.md, thresholds, and wrong input.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use serde_json::Value;

use crate::cli::{Ended, Program, run};

const PATIENCE: Duration = Duration::from_secs(120);

/// The example's files in a directory of their own.
fn example() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    // The server runs as another user when we are root.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    for file in ["scorecard.yaml", "conversations.jsonl", "labels.jsonl"] {
        fs::copy(files.join(file), directory.path().join(file)).unwrap();
    }
    directory
}

async fn tried(directory: &Path, arguments: &[&str]) -> Ended {
    let mut program = Program::new(directory);
    program.env("TMPDIR", directory);
    program.0.args(["try", "scorecard.yaml", "conversations.jsonl"]).args(arguments);
    run(program, PATIENCE).await
}

fn append(directory: &Path, file: &str, line: &str) {
    let path = directory.join(file);
    fs::write(&path, fs::read_to_string(&path).unwrap() + line).unwrap();
}

#[tokio::test]
async fn the_worked_example_comes_out_as_written() {
    let directory = example();
    let prices = "[prices]\nmodels = { \"stand-in\" = { input = 1.25, output = 10.0 } }\n";
    fs::write(directory.path().join("plumbline.toml"), prices).unwrap();
    let ended = tried(
        directory.path(),
        &[
            "--labels",
            "labels.jsonl",
            "--stand-in",
            "--json",
            "report.json",
            "--min-accuracy",
            "0.9",
            "--config",
            "plumbline.toml",
        ],
    )
    .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("a STAND-IN that judges by the phrases"), "{ended:?}");
    let report: Value =
        serde_json::from_str(&fs::read_to_string(directory.path().join("report.json")).unwrap()).unwrap();
    assert_eq!((&report["evaluated"], &report["failed"]), (&6.into(), &Value::Array(vec![])), "{report:#}");
    let criteria = report["criteria"].as_array().unwrap();
    let names: Vec<&str> = criteria.iter().map(|criterion| criterion["key"].as_str().unwrap()).collect();
    assert_eq!(names, ["gave_name", "confirmed", "said_goodbye"]);
    for criterion in criteria {
        let agreement = &criterion["agreement"];
        assert_eq!((&agreement["n"], &agreement["accuracy"]["value"]), (&6.into(), &1.0.into()), "{criterion:#}");
        assert_eq!(criterion["disagreements"], Value::Array(vec![]), "{criterion:#}");
    }
    assert_eq!(criteria[1]["answers"]["not_applicable"], 2, "{report:#}");
    assert!(report["prompt_tokens"].as_u64().unwrap() > 0 && report["quotes"].as_u64().unwrap() > 0, "{report:#}");
    let of_all = |field: &str| criteria.iter().map(|criterion| criterion[field].as_f64().unwrap()).sum::<f64>();
    for field in ["prompt_tokens", "completion_tokens"] {
        assert_eq!(of_all(field), report[field].as_f64().unwrap(), "{report:#}");
        assert!(criteria.iter().all(|criterion| criterion[field].as_u64() > Some(0)), "{report:#}");
    }
    let paid = report["prompt_tokens"].as_f64().unwrap() * 1.25 + report["completion_tokens"].as_f64().unwrap() * 10.0;
    assert!((report["cost"].as_f64().unwrap() - paid / 1e6).abs() < 1e-5, "each call's is rounded: {report:#}");
    assert!((of_all("cost") - report["cost"].as_f64().unwrap()).abs() < 1e-9, "{report:#}");
    assert!(ended.stdout.contains(" USD"), "{ended:?}");
    let left = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.starts_with("plumbline-try-")).collect();
    assert_eq!(left, Vec::<String>::new(), "the private database is gone");
}

#[tokio::test]
async fn a_missed_threshold_is_the_exit_status_and_shows_the_disagreement() {
    let directory = example();
    let labels = fs::read_to_string(directory.path().join("labels.jsonl")).unwrap();
    let changed = labels.replacen(r#""label": "yes""#, r#""label": "no""#, 1);
    fs::write(directory.path().join("labels.jsonl"), changed).unwrap();
    let ended = tried(
        directory.path(),
        &["--labels", "labels.jsonl", "--stand-in", "--min-accuracy", "0.9", "--min-kappa", "0.5"],
    )
    .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("gave_name: accuracy 0.833 is below 0.9"), "{ended:?}");
    assert!(ended.stdout.contains("gave_name of order-1: answered yes, labelled no."), "{ended:?}");
    assert!(ended.stdout.contains("“Good morning, Harbour Supplies, this is [NAME_1]."), "{ended:?}");
}

#[tokio::test]
async fn what_cannot_be_tried_is_told_with_its_place_before_anything_starts() {
    let wrong: [(&str, &str, &[&str], &str); 8] = [
        (
            "conversations.jsonl",
            "{\"external_id\": \"order-1\", \"utterances\": []}\n",
            &["--stand-in"],
            "conversations.jsonl:7: the external_id order-1 was there before",
        ),
        ("conversations.jsonl", "nonsense\n", &["--stand-in"], "conversations.jsonl:7: expected"),
        (
            "conversations.jsonl",
            "{\"external_id\": \"x\", \"organization_id\": \"y\", \"utterances\": []}",
            &["--stand-in"],
            "has an organization_id",
        ),
        (
            "labels.jsonl",
            "{\"external_id\": \"order-9\", \"criterion\": \"confirmed\", \"label\": \"yes\"}",
            &["--labels", "labels.jsonl", "--stand-in"],
            "labels.jsonl:19: there is no conversation order-9",
        ),
        (
            "labels.jsonl",
            "{\"external_id\": \"order-1\", \"criterion\": \"confirmed\", \"label\": \"maybe\"}",
            &["--labels", "labels.jsonl", "--stand-in"],
            "maybe is no answer to confirmed; answers are yes, no",
        ),
        (
            "labels.jsonl",
            "{\"external_id\": \"order-1\", \"criterion\": \"polite\", \"label\": \"yes\"}",
            &["--labels", "labels.jsonl", "--stand-in"],
            "the scorecard has no criterion polite",
        ),
        (
            "scorecard.yaml",
            "  - key: closing\n    name: Again\n    weight: 5000\n    criteria: []\n",
            &["--stand-in"],
            "sections[3].key: is used twice",
        ),
        ("scorecard.yaml", "", &[], "none is configured: set OPENAI_API_KEY"),
    ];
    for (file, line, arguments, told) in wrong {
        let directory = example();
        append(directory.path(), file, line);
        let ended = tried(directory.path(), arguments).await;
        assert_eq!(ended.code, Some(2), "{told}: {ended:?}");
        assert!(ended.stderr.contains(told) && ended.stdout.is_empty(), "{told}: {ended:?}");
        assert!(!ended.stderr.contains("starting a private PostgreSQL"), "{told}: {ended:?}");
    }
    let directory = example();
    for arguments in [&["--min-accuracy", "0.9"][..], &["--labels", "labels.jsonl", "--min-accuracy", "1.5"]] {
        assert_eq!(tried(directory.path(), arguments).await.code, Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_conversation_that_the_api_refuses_is_named() {
    let directory = example();
    append(
        directory.path(),
        "conversations.jsonl",
        "{\"external_id\": \"odd\", \"channel\": \"smoke\", \"utterances\": []}\n",
    );
    let ended = tried(directory.path(), &["--stand-in"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("the conversation odd was refused"), "{ended:?}");
}
