//! What comes from outside is compiled and tried by a child that ends at its limits; machine code is kept on disk under a seal; and the program says
//! what an upload would.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::{Duration, Instant},
};

use plumbline::platform::plugins::{
    ArtefactOptions, HostOptions, Limits, PluginHost, ValidationReport, ValidatorOptions,
};
use tempfile::TempDir;

use crate::{
    plugins::{EXAMPLE, EXAMPLE_SETTINGS, score_input},
    support::attacks::{attack_named, component},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_plumbline");
/// In which a bomb must be over on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits { concurrency: 4, ..Limits::default() }
}

/// A host whose components are compiled by a child.
fn host(compile_seconds: u64, artefacts: Option<&Path>) -> PluginHost {
    let validator = ValidatorOptions { program: PROGRAM.into(), compile_seconds, memory_bytes: 1 << 30 };
    let options = HostOptions { limits: limits(), validator: Some(validator), ..HostOptions::default() };
    let kept = |directory: &Path| ArtefactOptions { directory: directory.to_owned(), max_bytes: 1 << 30, key: [7; 32] };
    PluginHost::with(HostOptions { artefacts: artefacts.map(kept), ..options }).unwrap()
}

fn failed(report: &ValidationReport) -> Vec<&str> {
    report.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect()
}

#[tokio::test]
async fn a_child_finds_what_this_process_finds() {
    let mut child = host(60, None).validate(EXAMPLE).await.unwrap();
    let mut here = PluginHost::new(limits()).unwrap().validate(EXAMPLE).await.unwrap();
    assert!(child.accepted && child.problem.is_none(), "{child:#?}");
    assert!(child.artefact_bytes > 10_000);
    for report in [&mut child, &mut here] {
        report.compile_ms = 0;
        report.measures.iter_mut().for_each(|measure| measure.elapsed_us = 0);
        report.checks.iter_mut().for_each(|check| {
            let untimed = check.detail.split(" µs").next().and_then(|text| text.rsplit_once(", "));
            check.detail = untimed.map_or(check.detail.clone(), |(text, _)| text.to_owned());
        });
    }
    assert_eq!(child, here);
    let text = serde_json::to_string(&child).unwrap();
    assert_eq!(serde_json::from_str::<ValidationReport>(&text).unwrap(), child, "a report survives being stored");
}

#[tokio::test]
async fn a_child_refuses_with_the_reason() {
    let host = host(60, None);
    let limit = host.limits().component_bytes;
    for (component, code) in [
        (b"#!/bin/sh\n".to_vec(), "not_a_component"),
        (EXAMPLE[..EXAMPLE.len() / 2].to_vec(), "compile"),
        (vec![0; limit + 1], "too_large"),
        (attack_named("import_environment"), "forbidden_import"),
        (attack_named("world_of_both"), "wrong_world"),
        (attack_named("description_without_name"), "invalid_output"),
        (attack_named("manifest_wants_raw_text"), "manifest"),
        (attack_named("loop_in_describe"), "fuel"),
        (attack_named("loop_in_start"), "fuel"),
        (attack_named("trap_in_describe"), "trap"),
    ] {
        let report = host.validate(component).await.unwrap();
        let problem = report.problem.unwrap();
        assert!(!report.accepted && problem.code == code, "{code}: {problem:?}");
        assert!(!problem.message.is_empty() && !problem.message.contains('\n'));
    }
}

#[tokio::test]
async fn a_child_holds_components_against_the_golden_calls() {
    let host = host(60, None);
    for (attack, expected) in [
        ("loop_in_score", "scores_support_call"),
        ("score_out_of_range", "scores_support_call"),
        ("memory_grows", "scores_support_call"),
        ("stack_overflows", "scores_support_call"),
        ("loop_in_validate", "settings"),
        ("settings_refused", "settings"),
    ] {
        let report = host.validate(attack_named(attack)).await.unwrap();
        assert!(!report.accepted && failed(&report).contains(&expected), "{attack}: {report:#?}");
        assert_eq!(report.problem.unwrap().code, "conformance");
        assert!(report.identity.is_some() && report.manifest.is_some(), "what could be asked is told");
    }
}

/// A scorer of the frame that names every criterion and then does this.
fn scorer(score: &str) -> Vec<u8> {
    component("property", "scorer", &format!(";; in: score\n(call $cover (local.get 0))\n{score}"))
}

/// Each property fails for the plugin that breaks it, and for no other reason.
#[tokio::test]
async fn properties_fail_where_they_are_broken() {
    let overall =
        |value: &str| format!("(i32.store8 (i32.const 1036) (i32.const 1)) (i32.store (i32.const 1040) {value})");
    let names = component("nothing", "scorer", "");
    let counts = scorer(&overall("(i32.mul (i32.load (i32.const 1032)) (i32.const 10))"));
    // the first criterion gets a score, also where it is not applicable
    let scores = scorer("(i32.store8 offset=8 (i32.load (i32.const 1028)) (i32.const 1))");
    let slow =
        scorer("(if (i32.gt_u (i32.load offset=68 (local.get 0)) (i32.const 1000)) (then (loop $again (br $again))))");
    let strict = component(
        "strict",
        "scorer",
        ";; in: score\n(call $cover (local.get 0))\n;; in: validate\n(if (i32.ne (local.get 1) (i32.const 2)) (then (unreachable)))",
    );
    let host = PluginHost::new(limits()).unwrap();
    for (component, expected) in [
        (scorer(""), vec![]),
        (scorer(&overall("(i32.const 0)")), vec![]),
        (scorer(&overall("(i32.const 9000)")), vec![]),
        (names, vec!["every_criterion"]),
        (counts, vec!["not_applicable_is_neutral"]),
        (scores, vec!["not_applicable_is_neutral"]),
        (slow, vec!["within_budget"]),
        (strict, vec!["settings_answered"]),
    ] {
        let report = host.validate(component).await.unwrap();
        assert_eq!(failed(&report), expected, "{report:#?}");
        assert_eq!(report.accepted, expected.is_empty());
    }
}

#[tokio::test]
async fn prompt_builders_are_held_against_the_golden_calls_too() {
    let host = PluginHost::new(limits()).unwrap();
    let report = host.validate(component("nothing", "prompt-builder", "")).await.unwrap();
    assert!(report.accepted && report.measures.len() == 6, "{report:#?}");
    let report = host.validate(attack_named("prompt_loop")).await.unwrap();
    assert!(failed(&report).contains(&"builds_support_call") && failed(&report).contains(&"deterministic"));
    let report = host.validate(attack_named("prompt_is_empty")).await.unwrap();
    assert!(!report.accepted && report.problem.unwrap().message.contains("empty"));
}

/// A plugin that sets itself more than there is is told so before it is bound.
#[tokio::test]
async fn a_manifest_that_asks_for_more_than_there_is_is_refused() {
    let text = "limit.memory_bytes99999999999";
    let describe = r#"(i32.store (i32.const 548) (i32.const 2048)) (i32.store (i32.const 552) (i32.const 1))
        (i32.store (i32.const 2048) (i32.const 2100)) (i32.store (i32.const 2052) (i32.const 18))
        (i32.store (i32.const 2056) (i32.const 2118)) (i32.store (i32.const 2060) (i32.const 11))"#;
    let pieces = format!(
        ";; in: describe\n{describe}\n;; in: score\n(call $cover (local.get 0))\n;; in: module\n(data (i32.const 2100) \"{text}\")"
    );
    let report = PluginHost::new(limits()).unwrap().validate(component("greedy", "scorer", &pieces)).await.unwrap();
    assert_eq!(failed(&report), ["limits"], "{report:#?}");
    assert!(report.violations()[0].contains("the most there is here is 67108864"), "{:?}", report.violations());
}

/// Behaves in front of the golden calls and not afterwards: the version is accepted, and its calls are stopped like any other's.
#[tokio::test]
async fn what_misbehaves_later_is_stopped_later() {
    let host = PluginHost::new(limits()).unwrap();
    let good = host.load(EXAMPLE).await.unwrap().scorer(EXAMPLE_SETTINGS).unwrap();
    let expected = good.score(&score_input()).await;
    let bombs = ["seed", "clock", "metadata", "scorecard", "answers"];
    let codes = ["trap", "fuel", "memory", "invalid_output", "log_flood"];
    for (bomb, code) in bombs.into_iter().zip(codes) {
        let component = attack_named(&format!("time_bomb_by_{bomb}"));
        let report = host.validate(component.clone()).await.unwrap();
        assert!(report.accepted, "{bomb}: {report:#?}");
        let plugin = host.load(component).await.unwrap();
        let run = plugin.run_score("{}", &score_input()).await.unwrap();
        assert_eq!(run.outcome.unwrap_err().code(), code, "{bomb}");
        assert_eq!(host.live_instances(), 0);
        assert_eq!(good.score(&score_input()).await, expected, "after {bomb}");
    }
}

/// A component whose only module has this text.
fn module(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {text}))")).unwrap()
}

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{}", one(n));
        text
    })
}

/// Components that keep a compiler busy, each by another means. `calls` makes the register allocator sweat: many values alive over many calls.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let body = |count: usize| many(count, |n| format!("(local.set {} (call $f (local.get {})))", n % 40, (n * 7) % 40));
    let calls =
        format!("(func $f (param i64) (result i64) local.get 0) (func (local {}) {})", "i64 ".repeat(40), body(60_000));
    let alive = format!(
        "(func $f (result i64) i64.const 1) (func (result i64) {} {})",
        "call $f ".repeat(30_000),
        "i64.add ".repeat(29_999)
    );
    let blocks = 20_000;
    let nested =
        format!("(func (param i32) {} {})", "block local.get 0 br_if 0 ".repeat(blocks), "end ".repeat(blocks));
    let table = format!(
        "(func (param i32) block block block (br_table {} (local.get 0)) end end end)",
        "0 1 2 ".repeat(200_000)
    );
    let types = many(200_000, |n| format!("(type (func (param {})))", ["i32 ", "i64 ", "f32 "][n % 3].repeat(n % 20)));
    vec![
        ("a huge function", module(&calls)),
        ("values alive at once", module(&alive)),
        ("deep nesting", module(&nested)),
        ("a huge jump table", module(&table)),
        ("many functions", module(&many(300_000, |n| format!("(func (result i32) i32.const {n})")))),
        ("many locals", module(&many(2_000, |_| format!("(func (local {}))", "v128 ".repeat(1_000))))),
        ("many types", module(&types)),
        ("many imports", module(&many(99_000, |n| format!("(import \"m\" \"f{n}\" (func))")))),
        (
            "many data segments",
            module(&format!("(memory 1) {}", many(99_000, |n| format!("(data (i32.const {n}) \"x\")")))),
        ),
        ("many globals", module(&many(300_000, |n| format!("(global i32 (i32.const {n}))")))),
        ("many exports", module(&format!("(func) {}", many(99_000, |n| format!("(export \"e{n}\" (func 0))"))))),
        ("many modules", wat::parse_str(format!("(component {})", "(core module (func))".repeat(999))).unwrap()),
        ("many instances", {
            let instances = "(core instance (instantiate 0))".repeat(900);
            wat::parse_str(format!("(component (core module (memory 1)) {instances})")).unwrap()
        }),
        ("components in components", {
            let (depth, end) = ("(component ".repeat(90), ")".repeat(90));
            wat::parse_str(format!("{depth}{end}")).unwrap()
        }),
    ]
}

/// While bombs go off in children, a good call is answered as always; and each bomb is over in time, with a sentence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compile_bombs_go_off_in_children() {
    let host = host(2, None);
    let good = host.load(EXAMPLE).await.unwrap().scorer(EXAMPLE_SETTINGS).unwrap();
    let expected = good.score(&score_input()).await;
    let mut exploded = Vec::new();
    for (name, bomb) in bombs() {
        assert!(bomb.len() <= host.limits().component_bytes, "{name} has {} bytes", bomb.len());
        let began = Instant::now();
        let (validating, scorer) = (host.clone(), Arc::clone(&good));
        let bomb = tokio::spawn(async move { validating.validate(bomb).await });
        while !bomb.is_finished() {
            assert_eq!(scorer.score(&score_input()).await, expected, "beside {name}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let report = bomb.await.unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
        let problem = report.problem.unwrap_or_else(|| panic!("{name} is accepted"));
        assert!(
            ["compile", "wrong_world", "forbidden_import", "memory"].contains(&problem.code.as_str()),
            "{name}: {problem:?}"
        );
        assert!(began.elapsed() < PATIENCE, "{name} took {:?}", began.elapsed());
        if problem.message.contains("keeps the compiler busy") {
            exploded.push(name);
        }
    }
    assert!(exploded.contains(&"values alive at once"), "only {exploded:?} kept the compiler busy");
    assert_eq!(host.live_instances(), 0);
}

#[tokio::test]
async fn a_compiler_that_wants_too_much_memory_breaks_down_alone() {
    let validator = ValidatorOptions { program: PROGRAM.into(), compile_seconds: 60, memory_bytes: 192 << 20 };
    let options = HostOptions { limits: limits(), validator: Some(validator), ..HostOptions::default() };
    let host = PluginHost::with(options).unwrap();
    let bomb = module(&many(300_000, |n| format!("(func (result i32) i32.const {n})")));
    let problem = host.validate(bomb).await.unwrap().problem.unwrap();
    assert_eq!(problem.code, "compile");
    let fits = host.validate(EXAMPLE).await.unwrap();
    assert!(fits.accepted, "what is of use fits in: {:?}", fits.problem);
    assert!(problem.message.contains("broke down"), "{problem:?}");
}

#[tokio::test]
async fn without_a_program_it_is_the_host_that_failed() {
    let validator =
        ValidatorOptions { program: "/nonexistent/plumbline".into(), compile_seconds: 1, memory_bytes: 1 << 30 };
    let options = HostOptions { limits: limits(), validator: Some(validator), ..HostOptions::default() };
    let host = PluginHost::with(options).unwrap();
    assert_eq!(host.validate(EXAMPLE).await.unwrap_err().code(), "host");
    assert_eq!(host.load(EXAMPLE).await.unwrap_err().code(), "host");
}

/// What lies in the cache's directory.
fn kept(directory: &TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Scores the worked example with a plugin that is loaded by a host of its own.
async fn scored_anew(directory: &TempDir) -> (bool, Option<u32>) {
    let plugin = host(60, Some(directory.path())).load(EXAMPLE).await.unwrap();
    let found = plugin.scorer(EXAMPLE_SETTINGS).unwrap().score(&score_input()).await.unwrap();
    (plugin.compile_ms() == 0, found.overall)
}

#[tokio::test]
async fn machine_code_is_taken_from_disk_if_its_seal_fits_and_made_again_if_not() {
    let directory = tempfile::tempdir().unwrap();
    let expected = Some(7_778 - 250);
    assert_eq!(scored_anew(&directory).await, (false, expected), "compiled");
    assert_eq!(scored_anew(&directory).await, (true, expected), "kept");
    let files = kept(&directory);
    assert_eq!(files.len(), 1);
    let whole = fs::read(&files[0]).unwrap();
    for (name, change) in [
        ("flipped in the code", (|bytes| bytes[5_000] ^= 1) as fn(&mut Vec<u8>)),
        ("flipped in the seal", |bytes| bytes[20] ^= 1),
        ("cut", |bytes| bytes.truncate(bytes.len() - 1)),
        ("emptied", Vec::clear),
        ("longer", |bytes| bytes.push(0)),
    ] {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&files[0], bytes).unwrap();
        assert_eq!(scored_anew(&directory).await, (false, expected), "{name}");
        assert_eq!(kept(&directory), files, "made again, and nothing lies beside it");
        assert_eq!(scored_anew(&directory).await, (true, expected), "after {name}");
    }
    // another component's code under this one's name
    let other = host(60, Some(directory.path()));
    other.load(attack_named("trap_after_score")).await.unwrap();
    let foreign = kept(&directory).into_iter().find(|path| *path != files[0]).unwrap();
    fs::copy(&foreign, &files[0]).unwrap();
    assert_eq!(scored_anew(&directory).await, (false, expected), "foreign");
}

#[tokio::test]
async fn what_an_upload_compiled_is_kept_for_its_calls() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(60, Some(directory.path()));
    assert!(!host.validate(attack_named("loop_in_score")).await.unwrap().accepted);
    assert!(fs::read_dir(directory.path()).map_or(0, Iterator::count) == 0, "what is refused is not kept");
    assert!(host.validate(EXAMPLE).await.unwrap().accepted);
    assert_eq!(host.load(EXAMPLE).await.unwrap().compile_ms(), 0);
}

fn check(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(["plugin", "check"]).args(arguments).output().unwrap()
}

#[test]
fn plugin_check_says_in_a_line_what_an_upload_would() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.wasm", EXAMPLE);
    let out = check(&[&good]);
    let said = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0), "{said}");
    assert!(said.starts_with("monologue_deduction 1.1.0: "), "{said}");
    let report: ValidationReport = serde_json::from_slice(&check(&[&good, "--json"]).stdout).unwrap();
    assert!(report.accepted && report.measures.len() == 6);
    for (name, expected) in [
        ("import_random", "forbidden_import: the component imports what no plugin may: wasi:random/random@0.2.0"),
        ("manifest_sets_no_limit", "manifest: the plugin's manifest is not valid: its limit.memory_bytes is \"0\""),
        ("core_module", "not_a_component: not a WebAssembly component: it is a core module"),
    ] {
        let out = check(&[&file(name, &attack_named(name))]);
        let said = String::from_utf8(out.stdout).unwrap();
        assert_eq!(out.status.code(), Some(1), "{name}: {said}");
        assert!(said.starts_with(expected) && said.lines().count() == 1, "{name}: {said}");
    }
    let several = check(&[&file("score", &attack_named("score_out_of_range"))]);
    let said = String::from_utf8(several.stdout).unwrap();
    assert_eq!(several.status.code(), Some(1));
    assert!(said.lines().count() > 1 && said.lines().all(|line| line.contains(": ")), "a line each: {said}");
    assert_eq!(check(&["/nonexistent.wasm"]).status.code(), Some(2));
    assert_eq!(check(&[]).status.code(), Some(2));
}
