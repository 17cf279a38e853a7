//! A manifest is read or refused with a sentence; and of an input nothing is left but what it names.

use super::*;
use crate::platform::plugins::{AutoFail, Criterion, Given, Section, Verdict};

/// A word that stands in every text of the input.
const SECRET: &str = "SECRET";

fn described(metadata: &[(&str, &str)]) -> Description {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let (name, version) = ("one".to_owned(), "1".to_owned());
    Description { name, version, summary: String::new(), settings_schema: None, metadata }
}

fn reading(fields: &str) -> Manifest {
    Manifest::of(&described(&[("reads", fields)])).unwrap()
}

fn input() -> ScoreInput {
    let secret = || SECRET.to_owned();
    let criterion = Criterion {
        key: "greeting".into(),
        question: secret(),
        guidance: secret(),
        weight: 7,
        auto_fail: AutoFail::Section,
        not_applicable: true,
    };
    let section = Section { key: "opening".into(), name: secret(), weight: 3, criteria: vec![criterion] };
    let utterance = Utterance { n: 1, speaker: Speaker::Agent, start_ms: Some(1), end_ms: Some(2), text: secret() };
    ScoreInput {
        call: CallFacts {
            id: secret(),
            channel: secret(),
            language: secret(),
            started_at_ms: Some(1),
            duration_ms: Some(2),
        },
        utterances: vec![utterance],
        metrics: vec![(secret(), 1)],
        scorecard: Scorecard { name: secret(), version: 2, points: false, sections: vec![section] },
        answers: vec![Answer {
            criterion: "greeting".into(),
            verdict: Verdict::No,
            worth: Some(0),
            given: Given::default(),
            confidence: 9_000,
            rationale: secret(),
            evidence: vec![Evidence { utterance: 1, quote: secret(), speaker: Speaker::Agent }],
        }],
        seed: 4,
        evaluated_at_ms: 5,
        metadata: vec![(secret(), secret())],
    }
}

fn prompt_input() -> PromptInput {
    let ScoreInput { call, utterances, scorecard, seed, evaluated_at_ms, metadata, .. } = input();
    PromptInput { call, utterances, scorecard, seed, evaluated_at_ms, metadata }
}

#[test]
fn a_plugin_that_says_nothing_is_given_everything_without_a_copy() {
    let manifest = Manifest::of(&described(&[("homepage", "none of ours")])).unwrap();
    assert!(!manifest.declared);
    assert!(matches!(manifest.blank_score(&input()), Cow::Borrowed(_)));
    assert!(matches!(manifest.blank_prompt(&prompt_input()), Cow::Borrowed(_)));
}

#[test]
fn a_plugin_that_reads_nothing_is_given_the_structure_alone() {
    let manifest = reading("");
    assert!(manifest.declared && manifest.reads.is_empty());
    let given = manifest.blank_score(&input()).into_owned();
    let shown = serde_json::to_string(&given).unwrap();
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(given.call.id, NO_ID);
    assert_eq!((given.call.started_at_ms, given.call.duration_ms), (None, None));
    let utterance = &given.utterances[0];
    assert_eq!((utterance.n, utterance.speaker, utterance.start_ms), (1, Speaker::Unknown, None));
    assert_eq!((given.answers[0].confidence, given.answers[0].evidence.len()), (0, 0));
    // what a weighted score is made of
    let (section, answer) = (&given.scorecard.sections[0], &given.answers[0]);
    assert_eq!((section.key.as_str(), section.weight, section.criteria[0].weight), ("opening", 3, 7));
    assert_eq!((answer.criterion.as_str(), answer.verdict), ("greeting", Verdict::No));
    assert_eq!(section.criteria[0].auto_fail, AutoFail::Section);
    assert_eq!((given.seed, given.evaluated_at_ms), (4, 5));
    let prompt = serde_json::to_string(&manifest.blank_prompt(&prompt_input())).unwrap();
    assert!(!prompt.contains(SECRET), "{prompt}");
}

/// Each field opens something, and all of them together open everything: none is forgotten, none opens another's.
#[test]
fn each_field_gives_back_its_own() {
    let (nothing, whole) = (reading("").blank_score(&input()).into_owned(), input());
    let mut seen = vec![nothing];
    for field in Field::ALL {
        let given = reading(field.name()).blank_score(&whole).into_owned();
        assert!(!seen.contains(&given), "{field} opens nothing of its own");
        seen.push(given);
    }
    let all_but = |left_out: Field| {
        let names: Vec<_> = Field::ALL.iter().filter(|field| **field != left_out).map(|field| field.name()).collect();
        reading(&names.join(" "))
    };
    for field in Field::ALL {
        assert_ne!(*all_but(*field).blank_score(&whole), whole, "{field} is given unasked");
    }
    let evidence = reading("answers.evidence").blank_score(&whole).into_owned().answers.remove(0).evidence.remove(0);
    assert_eq!(
        (evidence.quote.as_str(), evidence.speaker),
        (SECRET, Speaker::Unknown),
        "who spoke is a field of its own"
    );
}

#[test]
fn limits_are_read_and_the_lower_one_counts() {
    let manifest = Manifest::of(&described(&[("limit.memory_bytes", "1048576"), ("limit.fuel", "9")])).unwrap();
    let expected = Allowance { memory_bytes: Some(1 << 20), time_ms: None, fuel: Some(9) };
    assert_eq!(manifest.limits, expected);
    let plan = Allowance { memory_bytes: Some(2 << 20), time_ms: Some(50), fuel: Some(5) };
    let both = Allowance { memory_bytes: Some(1 << 20), time_ms: Some(50), fuel: Some(5) };
    assert_eq!(manifest.limits.and(plan), both);
}

#[test]
fn what_cannot_be_kept_is_refused_with_a_sentence() {
    for (metadata, said) in [
        (&[("reads", "utterances.raw_text")][..], "redacted text alone"),
        (&[("reads", "call.id Call.Id")], "\"Call.Id\", which is no field"),
        (&[("reads", "call.id,metrics")], "which is no field"),
        (&[("reads", ""), ("reads", "metrics")], "\"reads\" twice"),
        (&[("limit.cpu", "1")], "\"limit.cpu\", which is no limit"),
        (&[("limit.fuel", "0")], "above 0"),
        (&[("limit.fuel", "-1")], "above 0"),
        (&[("limit.time_ms", "1.5")], "above 0"),
        (&[("limit.memory_bytes", "64 MiB")], "above 0"),
        (&[("limit.memory_bytes", "99999999999999999999")], "above 0"),
    ] {
        let refused = Manifest::of(&described(metadata)).unwrap_err();
        assert_eq!(refused.code(), "manifest");
        assert!(refused.to_string().contains(said), "{metadata:?}: {refused}");
    }
    let endless = "x".repeat(100_000);
    let refused = Manifest::of(&described(&[("reads", &endless)])).unwrap_err();
    assert!(refused.to_string().len() < 200);
}

#[test]
fn a_manifest_is_shown_with_the_names_of_its_fields() {
    let shown = serde_json::to_value(reading("metrics utterances.text")).unwrap();
    assert_eq!(shown, serde_json::json!({"reads": ["utterances.text", "metrics"], "declared": true, "limits": {}}));
}
