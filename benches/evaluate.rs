//! What an evaluation of 100 criteria on 200 utterances takes of the processor, how many round trips to PostgreSQL its call takes, and how long its
//! question is.
//!
//! The processor's part is everything between the language model's text and the score: reading the answer, holding 300 quotes against the
//! transcript (most of them exact, some misspelled, some invented), conditions, and the arithmetic. The question's tokens are a quarter of its
//! characters, the answer's schema included.

mod support;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use plumbline::{
    platform::plugins::{self, CallFacts, PromptInput},
    product::{
        calls::model::{Speaker, Utterance},
        evaluations::{
            arithmetic,
            model::Answer,
            prompt,
            questions::Questions,
            scoring::{Said, marks_of_answers},
        },
        scorecards::model::Definition,
    },
};
use serde_json::{Map, Value, json};

use support::{
    House, Outcome,
    line::{Line, QUOTE, publish},
    median, met,
    relay::Relay,
    rounded,
};

const CRITERIA: usize = 100;
const UTTERANCES: usize = 200;
const ROUNDS: usize = 200;
const COUNTED_CALLS: usize = 100;
const DELAY: Duration = Duration::from_millis(3);
const MOST_MS: f64 = 1.0;

fn main() -> Outcome<()> {
    support::run(Duration::from_secs(240), bench())
}

async fn bench() -> Outcome<()> {
    let definition = definition()?;
    let arithmetic_ms = processor(&definition)?;
    let tokens = prompt_tokens(&definition).await?;
    let house = House::open(true, "https://issuer.invalid/bench").await?;
    publish(&house, definition).await?;
    let round_trips = count_round_trips(&house).await?;
    println!(
        "{CRITERIA} criteria, {UTTERANCES} utterances: {arithmetic_ms:.3} ms, goal at most {MOST_MS}: {}; {round_trips:.1} round trips a call; {tokens} tokens a question",
        met(arithmetic_ms <= MOST_MS)
    );
    let figures = json!({ "arithmetic_ms": rounded(arithmetic_ms, 3), "round_trips_per_call": rounded(round_trips, 2), "prompt_tokens_per_call": tokens });
    println!("{figures}");
    Ok(())
}

/// The median of so many rounds, in milliseconds.
fn processor(definition: &Definition) -> Outcome<f64> {
    let (transcript, raw) = (transcript(), raw(definition));
    let scorecard = definition.for_plugins(1);
    let mut times = vec![];
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let questions = Questions::of(definition, &transcript, &[]);
        let answers: Vec<Answer> = questions.answers(&raw, &[])?;
        let said = answers
            .iter()
            .map(|answer| (answer.criterion.as_str(), Said { verdict: answer.verdict, worth: answer.worth }))
            .collect();
        black_box(arithmetic::score(&marks_of_answers(&scorecard, &said)));
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(median(&times))
}

async fn prompt_tokens(definition: &Definition) -> Outcome<usize> {
    let utterances = transcript();
    let questions = Questions::of(definition, &utterances, &[]);
    let call = CallFacts {
        id: "call".to_owned(),
        channel: "phone".to_owned(),
        language: "en".to_owned(),
        started_at_ms: None,
        duration_ms: None,
    };
    let input = PromptInput {
        call,
        utterances: utterances.clone(),
        scorecard: questions.scorecard(1),
        seed: 0,
        evaluated_at_ms: 0,
        metadata: prompt::metadata(questions.asked()),
    };
    let built = prompt::build_with(None, &input, questions.asked(), usize::MAX).await?;
    let characters =
        [&built.prompts[0].system, &built.prompts[0].user, &built.schema.to_string()].map(|text| text.chars().count());
    Ok(characters.iter().sum::<usize>().div_ceil(4))
}

/// A run behind the relay, after one that has warmed up its connections.
async fn count_round_trips(house: &House) -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let relay = Relay::listen(directory.path(), house.postgres.socket_directory(), DELAY)?;
    let line = Line::start(house, house.behind(directory.path()), conversation).await?;
    line.run(COUNTED_CALLS).await?;
    relay.take();
    line.run(COUNTED_CALLS).await?;
    let round_trips = relay.take();
    line.stop().await?;
    Ok(round_trips as f64 / COUNTED_CALLS as f64)
}

fn definition() -> Outcome<Definition> {
    let criterion = |n: usize| {
        json!({
            "key": format!("criterion_{n}"), "question": format!("Did the agent take care of point {n}?"),
            "guidance": format!("Yes if the agent says \"I have found your order\". No if the agent refuses point {n}."), "weight": n % 7 + 1
        })
    };
    let section = |n: usize| {
        let criteria: Vec<Value> = (n * 20..(n + 1) * 20).map(criterion).collect();
        json!({"key": format!("section_{n}"), "name": format!("Section {n}"), "weight": n + 1, "criteria": criteria})
    };
    let sections: Vec<Value> = (0..CRITERIA / 20).map(section).collect();
    Ok(serde_json::from_value(json!({"name": "Service", "sections": sections}))?)
}

fn words(number: usize, n: usize) -> String {
    match n % 2 {
        0 => format!("{QUOTE} number {number} and will look into point {n} for you right away."),
        _ => format!("About point {n}: the parcel came late again, and I would like to know why that happened."),
    }
}

fn conversation(number: usize) -> Vec<Utterance> {
    let turn = |n: usize| {
        let speaker = if n.is_multiple_of(2) { Speaker::Agent } else { Speaker::Customer };
        let (start, end) = (n as i64 * 6_000, n as i64 * 6_000 + 5_000);
        Utterance { n: n as i32 + 1, speaker, start_ms: Some(start), end_ms: Some(end), text: words(number, n) }
    };
    (0..UTTERANCES).map(turn).collect()
}

fn transcript() -> Vec<plugins::Utterance> {
    let turn = |n: usize| plugins::Utterance {
        n: n as u32 + 1,
        speaker: if n.is_multiple_of(2) { plugins::Speaker::Agent } else { plugins::Speaker::Customer },
        start_ms: Some(n as u64 * 6_000),
        end_ms: Some(n as u64 * 6_000 + 5_000),
        text: words(1, n),
    };
    (0..UTTERANCES).map(turn).collect()
}

/// Three quotes for each criterion: an exact one, one of another utterance than it says, and by turns a misspelled or an invented one.
fn raw(definition: &Definition) -> String {
    let answer = |n: usize| {
        let third = match n % 5 {
            0 => "Thank you for wating, I have found your order number".to_owned(),
            1 => format!("nobody has said anything of point {n} at all"),
            _ => format!("and will look into point {} for you", n * 2),
        };
        let evidence = json!([
            {"utterance": n * 2 + 1, "quote": QUOTE},
            {"utterance": 1, "quote": format!("About point {}: the parcel came late again", n * 2 + 1)},
            {"utterance": 2, "quote": third},
        ]);
        json!({"verdict": "yes", "confidence": 0.9, "rationale": "The agent took care of it at once and said so in plain words.", "evidence": evidence})
    };
    let answers: Map<String, Value> =
        definition.criteria().enumerate().map(|(n, criterion)| (criterion.key.clone(), answer(n))).collect();
    Value::Object(answers).to_string()
}
