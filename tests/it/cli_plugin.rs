//! `plumbline plugin new`, `build` and `test`, as authors run them: the program itself, in a directory of theirs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::cli::{Ended, Program, run};

/// A cold build of a language's tools is slow on a small machine.
const PATIENCE: Duration = Duration::from_secs(900);
const LANGUAGES: [&str; 3] = ["rust", "typescript", "python"];
const WORLDS: [&str; 2] = ["scorer", "prompt-builder"];
const WASM: &str = "wasm32-unknown-unknown";
const WEIGHTED: &[u8] = include_bytes!("../../plugins/weighted_scorer/weighted_scorer.wasm");

/// `plumbline plugin …` in a directory.
async fn plugin<const N: usize>(directory: &Path, arguments: [&str; N]) -> Ended {
    let mut program = Program::new(directory);
    program.args(["plugin"]).args(arguments);
    // Where the tools of the languages are, and what they have fetched.
    for kept in ["RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_HOME", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            program.env(kept, value);
        }
    }
    // Projects of one test share what is compiled.
    program.env("CARGO_TARGET_DIR", directory.join("target"));
    run(program, PATIENCE).await
}

fn said(ended: &Ended, code: i32) -> &str {
    assert_eq!(ended.code, Some(code), "{}\n{}", ended.stdout, ended.stderr);
    &ended.stdout
}

/// Whether a language can be built here. What is left out is said, unless `PLUMBLINE_TEST_GUESTS=1` demands it.
fn can_build(language: &str) -> bool {
    let demanded = std::env::var("PLUMBLINE_TEST_GUESTS").is_ok_and(|value| value == "1");
    let rust = || {
        let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
        let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout).ok()?.trim());
        Some(sysroot.join("lib/rustlib").join(WASM).is_dir())
    };
    // The others fetch hundreds of megabytes the first time.
    let can = demanded || (language == "rust" && rust() == Some(true));
    if !can && language == "rust" {
        eprintln!("building a plugin in rust is left out: there is no {WASM} target here");
    } else if !can {
        eprintln!("building a plugin in {language} is left out: PLUMBLINE_TEST_GUESTS is not 1");
    }
    can
}

#[tokio::test]
async fn a_project_is_made_for_every_language_and_world() {
    let directory = tempfile::tempdir().unwrap();
    for language in LANGUAGES {
        for world in WORLDS {
            let name = format!("{language}-{world}");
            let made = plugin(directory.path(), ["new", &name, "--lang", language, "--world", world]).await;
            let expected = format!(
                "{name}: a {} in {language}\n  plumbline plugin build {name}\n  plumbline plugin test {name}\n",
                world.replace('-', " ")
            );
            assert_eq!(said(&made, 0), expected);
            let project = directory.path().join(&name);
            let text = fs::read_to_string(project.join("plugin.toml")).unwrap();
            let about: toml::Table = toml::from_str(&text).unwrap();
            let keys = ["name", "language", "world"].map(|key| about[key].as_str().unwrap().to_owned());
            assert_eq!(keys, [name.as_str(), language, world]);
            // Without a component there is nothing to test, and what to do is said.
            let untested = plugin(directory.path(), ["test", &name]).await;
            assert_ne!(untested.code, Some(0));
            assert!(untested.stderr.contains(&format!("plumbline plugin build {name}")), "{}", untested.stderr);
        }
    }
}

#[tokio::test]
async fn a_project_is_not_made_over_another_nor_with_a_wrong_name() {
    let directory = tempfile::tempdir().unwrap();
    said(&plugin(directory.path(), ["new", "mine"]).await, 0);
    let source = directory.path().join("mine/src/lib.rs");
    fs::write(&source, "my work").unwrap();
    let again = plugin(directory.path(), ["new", "mine", "--lang", "python"]).await;
    assert_ne!(again.code, Some(0));
    assert!(again.stderr.contains("mine: it is not empty"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&source).unwrap(), "my work");
    for name in ["Mine", "../mine2", "builtin", ""] {
        let refused = plugin(directory.path(), ["new", name]).await;
        assert_ne!(refused.code, Some(0), "{name}");
        assert_eq!(refused.stderr.trim().lines().count(), 1, "{}", refused.stderr);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    let nowhere = plugin(directory.path(), ["build", "."]).await;
    assert!(nowhere.stderr.contains("`plumbline plugin new` makes a project"), "{}", nowhere.stderr);
}

/// The project's own calls are held against what comes out of the component, whatever made that.
#[tokio::test]
async fn own_calls_are_compared_and_accepted() {
    let directory = tempfile::tempdir().unwrap();
    said(&plugin(directory.path(), ["new", "weighted"]).await, 0);
    let project = directory.path().join("weighted");
    fs::create_dir(project.join("build")).unwrap();
    fs::write(project.join("build/weighted.wasm"), WEIGHTED).unwrap();
    // The template deducts points, the weighted scorer does not.
    let other = plugin(directory.path(), ["test", "weighted"]).await;
    let text = said(&other, 1);
    assert!(text.starts_with("weighted_scorer 1.0.0\n"), "{text}");
    assert!(text.contains("calls/first_call: score 77.78"), "{text}");
    assert!(text.contains("first_call: overall is 7778, expected was 7278"), "{text}");
    said(&plugin(directory.path(), ["test", "weighted", "--accept"]).await, 0);
    let accepted = plugin(directory.path(), ["test", "weighted"]).await;
    assert!(said(&accepted, 0).ends_with("everything is as it should be\n"), "{}", accepted.stdout);
    let call = fs::read_to_string(project.join("calls/first_call.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&call).unwrap()["expected"]["overall"], 7778);
}

#[tokio::test]
async fn a_component_is_tested_without_a_project() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.wasm"), WEIGHTED).unwrap();
    assert!(said(&plugin(directory.path(), ["test", "a.wasm"]).await, 0).contains("  ok   "));
    fs::write(directory.path().join("settings.json"), r#"{"pass_mark_hundredths": 10001}"#).unwrap();
    let refused = plugin(directory.path(), ["test", "a.wasm", "--settings", "settings.json"]).await;
    assert!(said(&refused, 1).contains("pass_mark_hundredths"), "{}", refused.stdout);
    fs::write(directory.path().join("b.wasm"), &WEIGHTED[..WEIGHTED.len() / 2]).unwrap();
    said(&plugin(directory.path(), ["test", "b.wasm"]).await, 1);
}

/// From `new` to a first score, and to a component that an upload would accept.
async fn from_new_to_a_score(language: &str) {
    if !can_build(language) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for world in WORLDS {
        let name = format!("my_{}", world.replace('-', "_"));
        said(&plugin(directory.path(), ["new", &name, "--lang", language, "--world", world]).await, 0);
        let built = plugin(directory.path(), ["build", &name]).await;
        let component = format!("{name}/build/{name}.wasm");
        assert!(said(&built, 0).starts_with(&format!("{component}: ")), "{}", built.stdout);
        let tested = plugin(directory.path(), ["test", &name]).await;
        let text = said(&tested, 0);
        assert!(text.starts_with(&format!("{name} 0.1.0\n")), "{text}");
        let came_out =
            if world == "scorer" { "calls/first_call: score 72.78" } else { "calls/first_call: a prompt of" };
        assert!(text.contains(came_out), "{text}");
        let checked = plugin(directory.path(), ["check", &component]).await;
        assert!(said(&checked, 0).starts_with(&format!("{name} 0.1.0: ")), "{}", checked.stdout);
        // Equal sources give equal bytes: a version is known by them.
        let again = plugin(directory.path(), ["build", &name]).await;
        assert_eq!(again.stdout, built.stdout);
    }
}

#[tokio::test]
async fn a_rust_project_builds_and_scores() {
    from_new_to_a_score("rust").await;
}

#[tokio::test]
async fn a_typescript_project_builds_and_scores() {
    from_new_to_a_score("typescript").await;
}

#[tokio::test]
async fn a_python_project_builds_and_scores() {
    from_new_to_a_score("python").await;
}
