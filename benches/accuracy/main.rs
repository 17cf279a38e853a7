//! How often rules and redaction are right, without a language model and without a database.
//!
//! Rule criteria on the labelled service dialogues (`PLUMBLINE_DATA`, else beside the checkout), redacted before as every transcript is: the share of
//! dialogues whose answer is the label. Their phrases (`labels.json`) were written in view of these 200: the older ones of all, those added later of the
//! failures among the even ones; both halves are printed.
//!
//! Personal data in generated conversations (`planted.rs`): an item counts as found when each of its letters and digits is redacted, whatever kind it is
//! taken for. Reported are the phrasings and names that detectors are not tuned on (`held_out.txt`); false positives are words outside of every item that
//! are redacted. Beside it stands how much of every dialogue is redacted: these hold names, telephone numbers and addresses of businesses, and no labels
//! of personal data.

#[path = "../support/mod.rs"]
mod support;

mod planted;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use plumbline::{
    platform::plugins,
    product::{
        calls::{
            model::{Speaker, Utterance},
            redaction::{Company, PersonalData, redact},
        },
        evaluations::{
            model::{Verdict, speaker_of},
            rules,
        },
        scorecards::model::Definition,
    },
};
use serde_json::{Map, Value, json};

use planted::{Part, conversation};
use support::{Outcome, met, rounded};

const LABELS: &str = include_str!("labels.json");
const CONVERSATIONS: u64 = 1_000;
const LEAST_ACCURACY: f64 = 0.95;
const LEAST_RECALL: f64 = 0.97;

fn main() -> Outcome<()> {
    let mut figures = Map::new();
    let root = std::env::var_os("PLUMBLINE_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")), PathBuf::from);
    labels(&root, &mut figures)?;
    dialogues(&root)?;
    personal_data(&mut figures);
    println!("{}", Value::Object(figures));
    Ok(())
}

fn labels(root: &Path, figures: &mut Map<String, Value>) -> Outcome<()> {
    let text = read(root, "dialogues/sgd.jsonl")?;
    let definition: Definition = serde_json::from_str(LABELS)?;
    definition.validate().map_err(|wrong| format!("{wrong:?}"))?;
    let mut right: BTreeMap<String, [u32; 2]> = BTreeMap::new();
    let mut all = [0_u32; 2];
    for (nth, line) in text.lines().enumerate() {
        let dialogue: Value = serde_json::from_str(line)?;
        let transcript = transcript(&dialogue)?;
        all[nth % 2] += 1;
        for answer in rules::answer(&definition, &transcript, &[]) {
            let label = dialogue["labels"][&answer.criterion].as_bool().ok_or("a dialogue without its label")?;
            let counts = right.entry(answer.criterion).or_default();
            counts[nth % 2] += u32::from((answer.verdict == Verdict::Yes) == label);
        }
    }
    println!("rules on {} labelled dialogues:", all[0] + all[1]);
    for (key, counts) in right {
        let share = |right: u32, all: u32| f64::from(right) / f64::from(all.max(1));
        let (even, odd) = (share(counts[0], all[0]), share(counts[1], all[1]));
        let accuracy = share(counts[0] + counts[1], all[0] + all[1]);
        println!(
            "  {key:<26} {accuracy:.3} (even {even:.3}, odd {odd:.3}): goal {LEAST_ACCURACY} {}",
            met(accuracy >= LEAST_ACCURACY)
        );
        figures.insert(key, json!(rounded(accuracy, 4)));
    }
    Ok(())
}

fn read(root: &Path, part: &str) -> Outcome<String> {
    let file = root.join(part);
    Ok(fs::read_to_string(&file)
        .map_err(|error| format!("{}: {error}; PLUMBLINE_DATA names the directory of the samples", file.display()))?)
}

/// How many words of each set of dialogues are redacted as what.
fn dialogues(root: &Path) -> Outcome<()> {
    println!("words redacted in 1,000 of the dialogues, which nobody labelled for personal data:");
    for set in ["sgd", "tm4", "dstc10-spoken", "abcd"] {
        let (mut words, mut kinds) = (0, BTreeMap::<PersonalData, usize>::new());
        for line in read(root, &format!("dialogues/{set}.jsonl"))?.lines() {
            let said = said(&serde_json::from_str(line)?)?;
            words += said.iter().map(|utterance| utterance.text.split_whitespace().count()).sum::<usize>();
            for span in redact(&said, &[], &Company::default()).spans {
                let utterance = said.iter().find(|utterance| utterance.n == span.utterance);
                let text = utterance.map_or("", |utterance| &utterance.text).chars();
                let length = (span.end_char - span.start_char) as usize;
                let text: String = text.skip(span.start_char as usize).take(length).collect();
                *kinds.entry(span.kind).or_default() += text.split_whitespace().count();
            }
        }
        let share = |count: usize| count as f64 * 1_000.0 / words as f64;
        let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {:.1}", share(*count))).collect();
        println!("  {set:<14} of {words} words: {}", kinds.join(", "));
    }
    Ok(())
}

fn said(dialogue: &Value) -> Outcome<Vec<Utterance>> {
    let turns = dialogue["turns"].as_array().ok_or("a dialogue without turns")?;
    let said = (1..).zip(turns).map(|(n, turn)| Utterance {
        n,
        speaker: turn["speaker"].as_str().and_then(|speaker| speaker.parse().ok()).unwrap_or(Speaker::System),
        start_ms: None,
        end_ms: None,
        text: turn["text"].as_str().unwrap_or_default().to_owned(),
    });
    Ok(said.collect())
}

/// The dialogue as criteria see it: without personal data.
fn transcript(dialogue: &Value) -> Outcome<Vec<plugins::Utterance>> {
    let said = said(dialogue)?;
    let redacted = redact(&said, &[], &Company::default()).applied(&said);
    let seen = redacted.into_iter().map(|utterance| plugins::Utterance {
        n: utterance.n.unsigned_abs(),
        speaker: speaker_of(utterance.speaker.as_str()),
        start_ms: None,
        end_ms: None,
        text: utterance.text,
    });
    Ok(seen.collect())
}

#[derive(Default)]
struct Count {
    items: BTreeMap<PersonalData, [u32; 2]>,
    words: u32,
    wrong: u32,
}

impl Count {
    fn recall(&self) -> f64 {
        let sum = |which: usize| self.items.values().map(|counts| f64::from(counts[which])).sum::<f64>();
        sum(0) / sum(1)
    }

    fn false_positives(&self) -> f64 {
        f64::from(self.wrong) * 1_000.0 / f64::from(self.words)
    }
}

fn personal_data(figures: &mut Map<String, Value>) {
    let started = Instant::now();
    for (part, name) in [(Part::Tuned, "tuned on"), (Part::HeldOut, "held out")] {
        let mut count = Count::default();
        (0..CONVERSATIONS).for_each(|seed| look(seed, part, &mut count));
        let (recall, wrong) = (count.recall(), count.false_positives());
        println!("personal data, phrasings {name}: recall {recall:.4}, {wrong:.2} words in 1,000 redacted for nothing");
        for (kind, [found, all]) in &count.items {
            println!("  {kind:<14} {found} of {all}");
        }
        if part == Part::HeldOut {
            println!("  goal {LEAST_RECALL} {}", met(recall >= LEAST_RECALL));
            figures.insert("pii_recall".to_owned(), json!(rounded(recall, 4)));
            figures.insert("pii_false_positives_per_1000_words".to_owned(), json!(rounded(wrong, 2)));
        }
    }
    println!("{:.1} s for {} conversations", started.elapsed().as_secs_f64(), 2 * CONVERSATIONS);
}

fn look(seed: u64, part: Part, count: &mut Count) {
    let planted = conversation(seed, part);
    let look = planted.look(&redact(&planted.utterances, &[], &Company::default()));
    for (kind, found) in look.items {
        let counts = count.items.entry(kind).or_default();
        counts[0] += u32::from(found);
        counts[1] += 1;
    }
    count.words += look.words;
    count.wrong += look.wrong;
}
