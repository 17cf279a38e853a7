//! Real input: dialogues that people wrote and spoke, and a recorded telephone call. They are not part of the repository; without them these tests say so.

use std::{collections::BTreeMap, fs, path::PathBuf};

use plumbline::foundation::config::SpeechProvider;
use reqwest::{Method, header::RANGE};
use serde_json::{Value, json};

use crate::support::{Answer, Client, TestApp, WAV_HEADER_BYTES, skipped};

const LABELS_SCORECARD: &str = include_str!("fixtures/labels_scorecard.json");
/// The same four criteria, answered by rules.
const LABELS_BY_RULES: &str = include_str!("../../benches/accuracy/labels.json");
const DIALOGUES: usize = 362;
const LABELLED: usize = 200;

/// What the stand-in for the language model reaches by its phrases is not a language model's accuracy; a fall below these is a fault of the way from a
/// dialogue to a verdict. The floor of what rules answer is the goal; of what the stand-in answers, what its fewer phrases reach.
const FLOORS: [(&str, f64); 8] = [
    ("confirmed_before_acting", 0.93),
    ("notified_failure", 0.95),
    ("asked_anything_else", 0.95),
    ("said_goodbye", 0.95),
    ("rule_confirmed_before_acting", 0.95),
    ("rule_notified_failure", 0.95),
    ("rule_asked_anything_else", 0.95),
    ("rule_said_goodbye", 0.95),
];

/// Each label as two criteria: one that the language model answers, and one that a rule does.
fn both_scorecards() -> Value {
    let mut both: Value = serde_json::from_str(LABELS_SCORECARD).unwrap();
    let rules: Value = serde_json::from_str(LABELS_BY_RULES).unwrap();
    let mut criteria = rules["sections"][0]["criteria"].clone();
    for criterion in criteria.as_array_mut().unwrap() {
        let named = |field: &str, before: &str| json!(format!("{before}{}", criterion[field].as_str().unwrap()));
        let (key, question) = (named("key", "rule_"), named("question", "By its words: "));
        (criterion["key"], criterion["question"]) = (key, question);
    }
    let section = json!({"key": "rules", "name": "Rules", "weight": 100, "criteria": criteria});
    both["sections"].as_array_mut().unwrap().push(section);
    both
}

/// Where the samples are: `PLUMBLINE_DATA`, else beside the checkout.
pub fn data(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PLUMBLINE_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")), PathBuf::from);
    let found = root.join(part);
    if found.exists() {
        return Some(found);
    }
    skipped(&format!("{} is not there; PLUMBLINE_DATA names the samples' directory", found.display()));
    None
}

fn dialogues(directory: &PathBuf) -> Vec<Value> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "jsonl"));
    files.sort();
    let texts = files.iter().map(|path| fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

/// The dialogue as a chat. Who is neither agent nor customer is the system: a line such as "Searching the FAQ pages".
fn chat(organization: &str, dialogue: &Value) -> Value {
    let turns = dialogue["turns"].as_array().unwrap().iter().map(|turn| {
        let speaker = match turn["speaker"].as_str().unwrap() {
            known @ ("agent" | "customer") => known,
            _ => "system",
        };
        json!({"speaker": speaker, "text": turn["text"]})
    });
    json!({"organization_id": organization, "external_id": dialogue["id"], "channel": "chat", "language": "en",
           "utterances": turns.collect::<Vec<_>>()})
}

fn criteria(evaluation: &Value) -> impl Iterator<Item = &Value> {
    let sections = evaluation["sections"].as_array().unwrap().iter();
    sections.flat_map(|section| section["criteria"].as_array().unwrap())
}

/// Looks every quote up in what was judged: the transcript without personal data.
fn check_quotes(sent: &Value, evaluation: &Value) -> usize {
    let mut quotes = 0;
    for criterion in criteria(evaluation) {
        assert_eq!(criterion["verdict"], criterion["claimed_verdict"], "{criterion:#}");
        let evidence = criterion["evidence"].as_array().unwrap();
        assert!(criterion["verdict"] != "yes" || !evidence.is_empty(), "a yes without evidence: {criterion:#}");
        for found in evidence {
            assert_eq!(found["verified"], true, "{criterion:#}");
            let number = usize::try_from(found["utterance"].as_u64().unwrap()).unwrap();
            let utterance = &sent["utterances"][number - 1];
            assert_eq!(found["speaker"], utterance["speaker"], "{found:#}");
            let place = |end: &str| usize::try_from(found[end].as_u64().unwrap()).unwrap();
            let (from, to) = (place("start_char"), place("end_char"));
            let words: String = utterance["text"].as_str().unwrap().chars().skip(from).take(to - from).collect();
            assert!(!words.is_empty());
            assert_eq!(found["words"].as_str().unwrap(), words, "{found:#}");
            quotes += 1;
        }
    }
    quotes
}

/// The arithmetic in whole numbers: every criterion of this scorecard applies, and its weights give whole hundredths.
fn overall_hundredths(evaluation: &Value) -> u64 {
    let weight = |of: &Value| of["weight"].as_u64().unwrap();
    let (mut reached, mut all) = (0, 0);
    for section in evaluation["sections"].as_array().unwrap() {
        let criteria = section["criteria"].as_array().unwrap();
        let met: u64 = criteria.iter().filter(|criterion| criterion["verdict"] == "yes").map(weight).sum();
        reached += weight(section) * met * 10_000 / criteria.iter().map(weight).sum::<u64>();
        all += weight(section);
    }
    reached / all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_dialogue_becomes_an_evaluation_that_agrees_with_its_labels() {
    let Some(directory) = data("dialogues") else { return };
    let dialogues = dialogues(&directory);
    assert_eq!(dialogues.len(), DIALOGUES, "dialogues in {}", directory.display());
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    app.publish(&tenant, &tenant.support, &both_scorecards()).await;
    let admin = app.admin(&tenant);
    let mut calls = Vec::new();
    for dialogue in &dialogues {
        let sent = chat(&tenant.support, dialogue);
        let id = app.send(&admin, &sent).await;
        calls.push((dialogue, sent, id));
    }
    app.drain_all().await;

    let (mut right, mut labelled, mut quotes) = (BTreeMap::<&str, usize>::new(), 0, 0);
    for (dialogue, sent, id) in &calls {
        let analysis = app.analysis(&admin, id).await.expect(200);
        assert_eq!(analysis["call_status"], "evaluated", "{}: {analysis:#}", dialogue["id"]);
        let evaluation = &analysis["evaluation"];
        assert_eq!(criteria(evaluation).count(), FLOORS.len());
        assert_eq!(evaluation["needs_review"], false, "{}", dialogue["id"]);
        let seen = admin.get(&format!("/api/calls/{id}/transcript")).await.expect(200);
        assert_eq!(seen["utterances"].as_array().unwrap().len(), sent["utterances"].as_array().unwrap().len());
        quotes += check_quotes(&seen, evaluation);
        let overall = (evaluation["overall_score"].as_f64().unwrap() * 100.0).round() as u64;
        assert_eq!(overall, overall_hundredths(evaluation), "{evaluation:#}");
        let Some(labels) = dialogue.get("labels") else { continue };
        labelled += 1;
        for (key, _) in FLOORS {
            let criterion = criteria(evaluation).find(|criterion| criterion["key"] == key).unwrap();
            let label = &labels[key.trim_start_matches("rule_")];
            let agrees = (criterion["verdict"] == "yes") == label.as_bool().unwrap();
            *right.entry(key).or_default() += usize::from(agrees);
        }
    }
    assert_eq!(labelled, LABELLED);
    eprintln!(
        "{DIALOGUES} dialogues evaluated, {quotes} quotes found again; accuracy by the stand-in's phrases and by rules, of {LABELLED}:"
    );
    let share = |key: &str| right[key] as f64 / LABELLED as f64;
    for (key, floor) in FLOORS {
        eprintln!("  {key}: {:.3} (floor {floor:.2})", share(key));
    }
    for (key, floor) in FLOORS {
        assert!(share(key) >= floor, "{key}: {:.3}", share(key));
    }
    app.finish().await;
}

/// The samples of a 16-bit WAV of one channel, and how many there are in a second.
pub fn samples(wav: &[u8]) -> (u32, Vec<[u8; 2]>) {
    assert_eq!((&wav[..4], &wav[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    let (mut rate, mut rest) = (0, &wav[12..]);
    while rest.len() > 8 {
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        let body = &rest[8..8 + length];
        match &rest[..4] {
            b"fmt " => {
                assert_eq!((&body[..4], &body[14..16]), (&[1, 0, 1, 0][..], &[16, 0][..]), "PCM, one channel, 16 bit");
                rate = u32::from_le_bytes(body[4..8].try_into().unwrap());
            }
            b"data" => return (rate, body.chunks_exact(2).map(|sample| [sample[0], sample[1]]).collect()),
            _ => {}
        }
        rest = &rest[8 + length + length % 2..];
    }
    panic!("a WAV without samples");
}

/// Two recordings of one call, each with one side, as one with the first on the left and the second on the right.
pub fn stereo(left: &[u8], right: &[u8]) -> Vec<u8> {
    let ((rate, left), (other_rate, right)) = (samples(left), samples(right));
    assert_eq!(rate, other_rate);
    let count = left.len().max(right.len());
    let data = u32::try_from(count * 4).unwrap();
    let mut bytes = Vec::with_capacity(WAV_HEADER_BYTES + count * 4);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(data + 36).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16_u32.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes()); // PCM
    bytes.extend_from_slice(&2_u16.to_le_bytes()); // channels
    bytes.extend_from_slice(&rate.to_le_bytes());
    bytes.extend_from_slice(&(rate * 4).to_le_bytes());
    bytes.extend_from_slice(&4_u16.to_le_bytes());
    bytes.extend_from_slice(&16_u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data.to_le_bytes());
    for at in 0..count {
        bytes.extend_from_slice(left.get(at).unwrap_or(&[0, 0]));
        bytes.extend_from_slice(right.get(at).unwrap_or(&[0, 0]));
    }
    bytes
}

/// Playback of a part: the status, and the bytes.
async fn play(client: &Client, id: &str, range: &str) -> Answer {
    Answer::to(client.request(Method::GET, &format!("/api/calls/{id}/audio")).header(RANGE, range)).await
}

async fn check_playback(client: &Client, id: &str, recording: &[u8]) {
    let whole = client.get(&format!("/api/calls/{id}/audio")).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "audio/wav"));
    assert!(whole.bytes == recording, "the recording comes back as it was sent");
    let length = recording.len();
    let middle = length / 2;
    for (range, from, to) in [
        (format!("bytes=0-{}", WAV_HEADER_BYTES - 1), 0, WAV_HEADER_BYTES),
        (format!("bytes={middle}-{}", middle + 65_535), middle, middle + 65_536),
        ("bytes=-1000".to_owned(), length - 1_000, length),
        (format!("bytes={}-", length - 1), length - 1, length),
    ] {
        let part = play(client, id, &range).await;
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/{length}", to - 1));
        assert!(part.bytes == recording[from..to], "{range}");
    }
    let beyond = play(client, id, &format!("bytes={length}-")).await;
    assert_eq!(beyond.header("content-range"), format!("bytes */{length}"));
    beyond.refused(416, "range-not-satisfiable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_call_is_uploaded_and_played_back_also_where_nobody_can_hear_it() {
    let Some(directory) = data("audio") else { return };
    let side = |name: &str| fs::read(directory.join(format!("auto_repairs_40_{name}.wav"))).unwrap();
    let recording = stereo(&side("agent"), &side("caller"));
    let app = TestApp::with(|config| config.speech.provider = Some(SpeechProvider::None)).await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let query = format!("organization_id={}&language=en&agent_channel=1", tenant.support);
    let sent = admin.upload(&query, recording.clone()).await;
    assert_eq!(sent.status, 202, "{}", sent.body);
    let id = sent.text("call_id");
    assert_eq!(sent.body["duration_ms"], 245_380, "{}", sent.body);
    check_playback(&admin, &id, &recording).await;
    let again = admin.upload(&query, recording).await.refused(409, "duplicate-audio");
    assert_eq!(again["resource_id"], id.as_str());

    app.drain_all().await;
    let call = app.call(&admin, &id).await;
    let failure = (&call["status"], &call["failure"]["kind"]);
    assert_eq!(failure, (&json!("failed"), &json!("no_recogniser")), "{call:#}");
    app.finish().await;
}
