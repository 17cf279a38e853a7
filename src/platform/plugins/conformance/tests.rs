//! The golden calls can be read and are what they say; the example passes; a plugin that breaks a property fails by that property.

use std::collections::HashSet;

use super::*;
use crate::platform::plugins::{Limits, PluginHost, Verdict};

const EXAMPLE: &[u8] = include_bytes!("../../../../plugins/monologue_deduction/monologue_deduction.wasm");

#[test]
fn golden_calls_agree_with_themselves() {
    let calls = golden_calls();
    let names: HashSet<_> = calls.iter().map(|call| call.name).collect();
    assert_eq!((names.len(), calls.len()), (6, 6));
    for Golden { name, input } in &calls {
        let keys: HashSet<_> = input.scorecard.criteria().map(|criterion| criterion.key.as_str()).collect();
        assert_eq!(keys.len(), input.scorecard.criteria().count(), "{name}");
        for answer in &input.answers {
            assert!(keys.contains(answer.criterion.as_str()), "{name}: {}", answer.criterion);
            for evidence in &answer.evidence {
                let quoted = input.utterances.iter().find(|utterance| utterance.n == evidence.utterance).unwrap();
                assert!(quoted.text.contains(&evidence.quote), "{name}: {}", evidence.quote);
                assert_eq!(quoted.speaker, evidence.speaker, "{name}: {}", evidence.quote);
            }
        }
    }
    let with = |verdict: Verdict| calls.iter().any(|call| call.input.answers.iter().any(|one| one.verdict == verdict));
    assert!([Verdict::Yes, Verdict::No, Verdict::NotApplicable, Verdict::Unverified].into_iter().all(with));
    let text: usize = calls[5].input.utterances.iter().map(|utterance| utterance.text.len()).sum();
    assert!(text > 300_000, "the largest call has {text} bytes");
}

#[tokio::test]
async fn the_example_conforms() {
    let host = PluginHost::new(Limits { concurrency: 2, ..Limits::default() }).unwrap();
    let plugin = host.load(EXAMPLE).await.unwrap();
    let settings = accepted_settings(&plugin).await.unwrap();
    assert!(settings.contains("deduct_hundredths"), "{settings}");
    let found = measured(&plugin, &settings).await;
    assert!(found.checks.iter().all(|check| check.passed), "{:#?}", found.checks);
    let names: Vec<_> = found.checks.iter().map(|check| check.name.as_str()).collect();
    let expected = [
        "settings",
        "settings_answered",
        "scores_support_call",
        "scores_bilingual_chat",
        "scores_auto_fail",
        "scores_nothing_applicable",
        "scores_empty_call",
        "within_budget",
        "deterministic",
        "every_criterion",
        "not_applicable_is_neutral",
    ];
    assert_eq!(names, expected);
    assert!(found.measures.len() == 6 && found.measures.iter().all(|measure| measure.fuel > 0));
}

#[tokio::test]
async fn settings_that_the_plugin_refuses_fail_their_check() {
    let host = PluginHost::new(Limits { concurrency: 2, ..Limits::default() }).unwrap();
    let plugin = host.load(EXAMPLE).await.unwrap();
    let found = run(&plugin, r#"{"longest_turn_words": 0}"#).await;
    let failed = found.iter().find(|check| check.name == "settings").unwrap();
    assert!(!failed.passed && failed.detail.contains("must be at least 1"), "{failed:?}");
}
