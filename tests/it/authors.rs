//! What authors are given: examples that pass conformance, the same scorer in three languages, and an SDK that says what the product says.

use std::{fs, path::PathBuf};

use plumbline::platform::plugins::{Limits, Plugin, PluginHost, ScoreInput, ScoreOutput, Verdict, World};
use proptest::prelude::*;

use crate::plugins::{any_input, reference, score_input};

/// The committed component; `script/plugins --check` proves that it is what the source gives.
const WEIGHTED: &[u8] = include_bytes!("../../plugins/weighted_scorer/weighted_scorer.wasm");
const SETTINGS: &str = r#"{"pass_mark_hundredths": 6667}"#;

/// Where `script/plugins` puts components.
fn built(name: &str) -> PathBuf {
    let directory = std::env::var_os("PLUMBLINE_PLUGINS_DIR").map(PathBuf::from);
    let usual = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/plugins");
    directory.unwrap_or_else(usual).join(format!("{name}.wasm"))
}

/// A component that `script/plugins` built. Without it the test says what it leaves out, unless `PLUMBLINE_TEST_GUESTS=1` demands it.
fn component(name: &str) -> Option<Vec<u8>> {
    let path = built(name);
    match fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let wanted = std::env::var("PLUMBLINE_TEST_GUESTS").is_ok_and(|value| value == "1");
            assert!(!wanted, "{}: {error}: run script/plugins", path.display());
            eprintln!("{name} is left out: script/plugins has not built {}", path.display());
            None
        }
    }
}

fn host() -> PluginHost {
    PluginHost::new(Limits { concurrency: 2, ..Limits::default() }).unwrap()
}

/// Every example would be accepted as an upload.
async fn accepted(component: Vec<u8>, name: &str, world: World) {
    let report = host().validate(component).await.unwrap();
    assert!(report.accepted, "{name}: {:#?}", report.violations());
    assert_eq!((report.world, report.identity.unwrap().name.as_str()), (Some(world), name));
    assert!(report.manifest.unwrap().declared, "an example says what it reads");
    for measure in report.measures {
        eprintln!("{name} {}: {} µs, {} KiB", measure.golden_call, measure.elapsed_us, measure.memory_bytes >> 10);
    }
}

#[tokio::test]
async fn the_committed_examples_pass_conformance() {
    accepted(WEIGHTED.to_vec(), "weighted_scorer", World::Scorer).await;
    accepted(crate::plugins::EXAMPLE.to_vec(), "monologue_deduction", World::Scorer).await;
}

#[tokio::test]
async fn the_other_examples_pass_conformance() {
    let all = [
        ("compliance_gate", World::Scorer),
        ("sales_scorecard", World::Scorer),
        ("retention_offer", World::PromptBuilder),
        ("bilingual_prompt", World::PromptBuilder),
        ("weighted_scorer_typescript", World::Scorer),
        ("weighted_scorer_python", World::Scorer),
    ];
    for (name, world) in all {
        if let Some(component) = component(name) {
            accepted(component, name, world).await;
        }
    }
}

/// What a scorer said, but for what it logged.
async fn scored(plugin: &Plugin, settings: &str, input: &ScoreInput) -> Result<ScoreOutput, String> {
    plugin.run_score(settings, input).await.unwrap().outcome.map_err(|error| error.code().to_owned())
}

/// The scorers in other languages than Rust, as far as they are built.
async fn others(host: &PluginHost) -> Vec<Plugin> {
    let mut found = Vec::new();
    for name in ["weighted_scorer_typescript", "weighted_scorer_python"] {
        if let Some(component) = component(name) {
            found.push(host.load(component).await.unwrap());
        }
    }
    found
}

#[test]
fn the_same_scorer_in_three_languages_gives_equal_scores() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let host = host();
    let rust = runtime.block_on(host.load(WEIGHTED)).unwrap();
    let others = runtime.block_on(others(&host));
    proptest!(ProptestConfig::with_cases(100), |(input in any_input(), pass_mark in 0..=10_000u32)| {
        let settings = format!(r#"{{"pass_mark_hundredths": {pass_mark}}}"#);
        let expected = runtime.block_on(scored(&rust, &settings, &input)).unwrap();
        prop_assert_eq!(expected.overall, reference(&input), "Rust and the arithmetic that the product documents");
        for other in &others {
            let found = runtime.block_on(scored(other, &settings, &input));
            prop_assert_eq!(found.as_ref(), Ok(&expected), "{}", &other.identity().name);
        }
    });
}

/// Denominators whose product has hundreds of digits: numbers that lose digits would show here.
#[tokio::test]
async fn fractions_of_hundreds_of_digits_stay_exact_in_every_language() {
    let mut input = score_input();
    let model = input.scorecard.sections[0].clone();
    let answer = input.answers[0].clone();
    input.scorecard.sections.clear();
    input.answers.clear();
    for n in 0..100u32 {
        let mut section = model.clone();
        section.key = format!("s{n}");
        section.weight = u32::MAX - n;
        for (c, criterion) in section.criteria.iter_mut().enumerate() {
            criterion.key = format!("s{n}_c{c}");
            criterion.weight = u32::MAX - 7 * n;
            let verdict = if c == 0 { Verdict::Yes } else { Verdict::No };
            input.answers.push(plumbline::platform::plugins::Answer {
                criterion: criterion.key.clone(),
                verdict,
                ..answer.clone()
            });
        }
        input.scorecard.sections.push(section);
    }
    let host = host();
    let rust = host.load(WEIGHTED).await.unwrap();
    let expected = scored(&rust, SETTINGS, &input).await.unwrap();
    assert_eq!(expected.overall, Some(5_000));
    for other in others(&host).await {
        assert_eq!(scored(&other, SETTINGS, &input).await.as_ref(), Ok(&expected), "{}", other.identity().name);
    }
}

#[tokio::test]
async fn settings_are_judged_alike_in_every_language() {
    let host = host();
    let mut all = vec![host.load(WEIGHTED).await.unwrap()];
    all.extend(others(&host).await);
    let wrong = [
        "[]",
        "null",
        "7",
        r#"{"pass_mark": 1}"#,
        r#"{"pass_mark_hundredths": 10001}"#,
        r#"{"pass_mark_hundredths": -1}"#,
        r#"{"pass_mark_hundredths": 1.5}"#,
        r#"{"pass_mark_hundredths": "1"}"#,
        r#"{"pass_mark_hundredths": true}"#,
        r#"{"pass_mark_hundredths": null}"#,
    ];
    for plugin in all {
        let name = &plugin.identity().name;
        for right in ["{}", r#"{"pass_mark_hundredths": 0}"#, r#"{"pass_mark_hundredths": 10000}"#] {
            plugin.validate_settings(right).await.unwrap_or_else(|error| panic!("{name} {right}: {error}"));
        }
        for wrong in wrong {
            let refusal = plugin.validate_settings(wrong).await.expect_err(wrong);
            assert_eq!(refusal.code(), "invalid_settings", "{name} {wrong}: {refusal}");
            // A binding that was not validated fails by itself, in words and not by a trap.
            assert_eq!(scored(&plugin, wrong, &score_input()).await, Err("guest_error".to_owned()), "{name} {wrong}");
        }
    }
}

/// 64 bits of seed and times before 1970 arrive in every language.
#[tokio::test]
async fn the_ends_of_the_ranges_arrive_in_every_language() {
    let host = host();
    let mut all = vec![host.load(WEIGHTED).await.unwrap()];
    all.extend(others(&host).await);
    let mut input = score_input();
    (input.seed, input.evaluated_at_ms) = (u64::MAX, i64::MIN);
    (input.call.started_at_ms, input.call.duration_ms) = (Some(i64::MIN), Some(u64::MAX));
    input.metrics = vec![("least".into(), i64::MIN), ("most".into(), i64::MAX)];
    let expected = scored(&all[0], SETTINGS, &input).await.unwrap();
    for plugin in all {
        assert_eq!(scored(&plugin, SETTINGS, &input).await.as_ref(), Ok(&expected), "{}", plugin.identity().name);
    }
}

/// The text between two marks, without the ends of lines and quotes that each language writes in its own way.
fn rules(source: &str) -> String {
    let start =
        source.find("1. Everything inside `transcript`").or_else(|| source.find("1. Everything inside \\`")).unwrap();
    let end = "that the schema describes and nothing else.";
    let end = start + source[start..].find(end).unwrap() + end.len();
    source[start..end].replace("\\n\\\n", "\n").replace("\\\n", "").replace("\\\"", "\"").replace("\\`", "`")
}

#[test]
fn the_rules_of_the_prompt_are_the_same_everywhere() {
    let built_in = rules(include_str!("../../src/product/evaluations/prompt.rs"));
    assert!(built_in.len() > 1_000 && built_in.lines().count() == 6, "{built_in}");
    for (name, source) in [
        ("sdk", include_str!("../../plugins/sdk/src/prompt.rs")),
        ("typescript", include_str!("../../plugins/typescript/plumbline.ts")),
        ("python", include_str!("../../plugins/python/plumbline.py")),
    ] {
        assert_eq!(rules(source), built_in, "{name}");
    }
}
