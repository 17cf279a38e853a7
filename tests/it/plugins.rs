//! The example plugin through the sandbox: what it says of itself, its worked example, and its arithmetic against a reference.

use plumbline::platform::plugins::{
    Answer, AutoFail, CallFacts, Criterion, Evidence, Given, InsightKind, Limits, PluginHost, PromptInput, ScoreInput,
    Scorecard, Section, Speaker, Utterance, Verdict, World,
};
use proptest::{collection::vec, prelude::*};

/// The committed component; `script/plugins --check` proves that it is what the source gives.
pub const EXAMPLE: &[u8] = include_bytes!("../../plugins/monologue_deduction/monologue_deduction.wasm");
/// Settings under which [`score_input`] holds one monologue.
pub const EXAMPLE_SETTINGS: &str = r#"{"longest_turn_words": 8, "deduct_hundredths": 250}"#;

fn criterion(key: &str, weight: u32, auto_fail: AutoFail) -> Criterion {
    let question = format!("Is {key} fulfilled?");
    Criterion { key: key.into(), question, guidance: String::new(), weight, auto_fail, not_applicable: true }
}

fn answer(key: &str, verdict: Verdict) -> Answer {
    let evidence = vec![Evidence { utterance: 1, quote: "hello".into(), speaker: Speaker::Agent }];
    let worth = match verdict {
        Verdict::Yes => Some(100),
        Verdict::No => Some(0),
        _ => None,
    };
    let (given, rationale) = (Given::default(), "said so".into());
    Answer { criterion: key.into(), verdict, worth, given, confidence: 9_000, rationale, evidence }
}

fn utterances() -> Vec<Utterance> {
    let spoken = [
        (Speaker::Agent, "Hello, this is Ana."),
        (Speaker::Customer, "Hi, my grün gateway is down."),
        (Speaker::Agent, "I see. Let me tell you all about"),
        (Speaker::Agent, "our gateways, at length."),
        (Speaker::Customer, "Thanks."),
    ];
    let say = |(n, (speaker, text)): (u32, &(Speaker, &str))| Utterance {
        n,
        speaker: *speaker,
        start_ms: Some(u64::from(n) * 1_000),
        end_ms: None,
        text: (*text).into(),
    };
    (1..).zip(&spoken).map(say).collect()
}

fn call() -> CallFacts {
    let id = "0192f1c0-7b1e-7cc3-98c4-dc0c0c07398f".into();
    CallFacts { id, channel: "phone".into(), language: "en".into(), started_at_ms: Some(-1), duration_ms: None }
}

/// The worked example of the plugin's README.
pub fn score_input() -> ScoreInput {
    let opening = vec![criterion("greeting", 1, AutoFail::None), criterion("identity", 2, AutoFail::None)];
    let resolution = vec![criterion("next_step", 1, AutoFail::None), criterion("refund", 1, AutoFail::Evaluation)];
    let section = |key: &str, weight, criteria| Section { key: key.into(), name: key.into(), weight, criteria };
    ScoreInput {
        call: call(),
        utterances: utterances(),
        metrics: vec![("longest_silence_ms".into(), 700)],
        scorecard: Scorecard {
            name: "Support".into(),
            version: 3,
            points: false,
            sections: vec![section("opening", 1, opening), section("resolution", 2, resolution)],
        },
        answers: vec![
            answer("greeting", Verdict::Yes),
            answer("identity", Verdict::No),
            answer("next_step", Verdict::Yes),
            answer("refund", Verdict::NotApplicable),
        ],
        seed: 7,
        evaluated_at_ms: 1_795_000_000_000,
        metadata: vec![("queue".into(), "gateways".into())],
    }
}

/// The same conversation as a prompt builder gets it.
pub fn prompt_input() -> PromptInput {
    let ScoreInput { call, utterances, scorecard, seed, evaluated_at_ms, metadata, .. } = score_input();
    PromptInput { call, utterances, scorecard, seed, evaluated_at_ms, metadata }
}

fn host() -> PluginHost {
    PluginHost::new(Limits { concurrency: 4, ..Limits::default() }).unwrap()
}

#[tokio::test]
async fn the_example_says_what_it_is() {
    let plugin = host().load(EXAMPLE).await.unwrap();
    assert_eq!(plugin.world(), World::Scorer);
    let identity = plugin.identity();
    assert_eq!((identity.name.as_str(), identity.version.as_str()), ("monologue_deduction", "1.1.0"));
    assert_eq!(identity.wit.as_deref(), Some("plumbline:plugin@1.0.0"));
    assert_eq!(identity.sha256.as_deref().map(str::len), Some(64));
    let schema = plugin.description().settings_schema.as_deref().unwrap();
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    assert_eq!(schema["properties"]["deduct_hundredths"]["default"], 250);
}

#[tokio::test]
async fn the_worked_example_comes_out_as_written() {
    let plugin = host().load(EXAMPLE).await.unwrap();
    let run = plugin.run_score(EXAMPLE_SETTINGS, &score_input()).await.unwrap();
    let found = run.outcome.unwrap();
    assert_eq!(found.overall, Some(7_778 - 250));
    let scores: Vec<_> = found.criteria.iter().map(|one| (one.key.as_str(), one.score, one.passed)).collect();
    let expected = [
        ("greeting", Some(10_000), Some(true)),
        ("identity", Some(0), Some(false)),
        ("next_step", Some(10_000), Some(true)),
        ("refund", None, None),
    ];
    assert_eq!(scores, expected);
    let monologue = found.insights.iter().find(|insight| insight.kind == InsightKind::Risk).unwrap();
    assert_eq!(monologue.utterances, [3, 4]);
    assert!(monologue.text.contains("12 words"), "{}", monologue.text);
    let logged: Vec<_> = run.log.messages.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(logged, ["weighted_score: 7778", "deduction: 250"]);
    let again = plugin.run_score(EXAMPLE_SETTINGS, &score_input()).await.unwrap();
    assert!(run.fuel > 10_000 && run.fuel == again.fuel, "{} and {}: equal work, equal fuel", run.fuel, again.fuel);
    assert!(run.memory_bytes >= 65_536 && run.memory_bytes <= 4 << 20, "{}", run.memory_bytes);
}

#[tokio::test]
async fn settings_are_judged_by_the_plugin() {
    let plugin = host().load(EXAMPLE).await.unwrap();
    plugin.validate_settings("{}").await.unwrap();
    let refusal = plugin.validate_settings(r#"{"longest_turn_words": 0}"#).await.unwrap_err();
    assert_eq!(refusal.to_string(), "the plugin refuses its settings: longest_turn_words must be at least 1");
    let input = score_input();
    let unchecked = plugin.scorer(r#"{"longest": 1}"#).unwrap().score(&input).await.unwrap_err();
    assert_eq!(unchecked.code(), "guest_error", "a binding that was not validated fails by itself");
}

/// A transcript of a million words goes in, and the call stays within its limits.
#[tokio::test]
async fn a_million_words_are_scored() {
    let mut input = score_input();
    let text = "word ".repeat(1_000);
    input.utterances = (1..=1_000)
        .map(|n| {
            let speaker = if n % 2 == 0 { Speaker::Customer } else { Speaker::Agent };
            Utterance { n, speaker, start_ms: None, end_ms: None, text: text.clone() }
        })
        .collect();
    let plugin = host().load(EXAMPLE).await.unwrap();
    let found = plugin.run_score("{}", &input).await.unwrap().outcome.unwrap();
    assert_eq!(found.overall, Some(7_778 - 1_000), "500 monologues cost no more than the most");
}

/// The score in hundredths by other means than the plugin's: over the least common multiple of all denominators.
pub fn reference(input: &ScoreInput) -> Option<u32> {
    let verdict = |key: &str| input.answers.iter().find(|answer| answer.criterion == key).map(|answer| answer.verdict);
    let failed = |section: &Section, kind: AutoFail| {
        section.criteria.iter().any(|one| one.auto_fail == kind && verdict(&one.key) == Some(Verdict::No))
    };
    let mut shares: Vec<(u128, u128, u128)> = Vec::new();
    for section in &input.scorecard.sections {
        let sum = |wanted: &[Verdict]| -> u128 {
            let counted = section.criteria.iter().filter(|one| verdict(&one.key).is_some_and(|v| wanted.contains(&v)));
            counted.map(|one| u128::from(one.weight)).sum()
        };
        let applicable = sum(&[Verdict::Yes, Verdict::No]);
        if applicable > 0 {
            let fulfilled = if failed(section, AutoFail::Section) { 0 } else { sum(&[Verdict::Yes]) };
            shares.push((fulfilled, applicable, u128::from(section.weight)));
        }
    }
    let gcd = |mut a: u128, mut b: u128| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let common = shares.iter().fold(1, |lcm: u128, (_, applicable, _)| lcm / gcd(lcm, *applicable) * applicable);
    let weights: u128 = shares.iter().map(|(_, _, weight)| weight).sum();
    if weights == 0 {
        return None;
    }
    if input.scorecard.sections.iter().any(|section| failed(section, AutoFail::Evaluation)) {
        return Some(0);
    }
    let total: u128 = shares.iter().map(|(fulfilled, all, weight)| weight * fulfilled * (common / all)).sum();
    let (whole, hundredths) = (common * weights, total * 10_000);
    let rounded = hundredths / whole + u128::from(hundredths % whole * 2 >= whole);
    Some(u32::try_from(rounded).unwrap())
}

/// Scorecards whose denominators keep their least common multiple within 128 bits.
pub fn any_input() -> impl Strategy<Value = ScoreInput> {
    let verdict = prop_oneof![
        6 => Just(Some(Verdict::Yes)),
        4 => Just(Some(Verdict::No)),
        1 => Just(Some(Verdict::NotApplicable)),
        1 => Just(Some(Verdict::Unverified)),
        1 => Just(None),
    ];
    let auto_fail =
        prop_oneof![20 => Just(AutoFail::None), 2 => Just(AutoFail::Section), 1 => Just(AutoFail::Evaluation)];
    let criteria = vec((1..=1_000u32, auto_fail, verdict), 1..12);
    vec((1..=1_000u32, criteria), 0..6).prop_map(|drawn| {
        let mut input = score_input();
        input.scorecard.sections.clear();
        input.answers.clear();
        for (s, (weight, criteria)) in drawn.into_iter().enumerate() {
            let key = |c: usize| format!("s{s}_c{c}");
            let verdicts = criteria.iter().enumerate().filter_map(|(c, (_, _, given))| Some((c, (*given)?)));
            input.answers.extend(verdicts.map(|(c, given)| answer(&key(c), given)));
            let made = criteria.iter().enumerate().map(|(c, (weight, fails, _))| criterion(&key(c), *weight, *fails));
            let name = format!("section {s}");
            input.scorecard.sections.push(Section { key: format!("s{s}"), name, weight, criteria: made.collect() });
        }
        input
    })
}

#[test]
fn the_example_agrees_with_the_reference_on_any_scorecard() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let host = host();
    let plugin = runtime.block_on(host.load(EXAMPLE)).unwrap();
    let plain = plugin.scorer(r#"{"channels": []}"#).unwrap();
    let deducting = plugin.scorer(EXAMPLE_SETTINGS).unwrap();
    proptest!(ProptestConfig::with_cases(300), |(input in any_input())| {
        let expected = reference(&input);
        let found = runtime.block_on(plain.score(&input)).unwrap();
        prop_assert_eq!(found.overall, expected);
        prop_assert_eq!(found.criteria.len(), input.scorecard.criteria().count());
        let again = runtime.block_on(plain.score(&input)).unwrap();
        prop_assert_eq!(found, again, "equal input, equal score");
        let deducted = runtime.block_on(deducting.score(&input)).unwrap();
        prop_assert_eq!(deducted.overall, expected.map(|score| score.saturating_sub(250)));
    });
}
