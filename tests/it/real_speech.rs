//! Real speech through a real recogniser (`script/speech`), where it is installed: the demo's recordings, and a recorded telephone call of four minutes with
//! the agent on one channel and the customer on the other. What the channels' loudness says of who speaks when is the judge; no word is compared as a whole.

use std::{fs, sync::OnceLock, time::Duration};

use plumbline::{
    demo::standins::{self, StandInOptions, StandIns, faults::JobFault},
    foundation::config::SpeechProvider,
    platform::providers::{
        QuickRetries, http_client,
        speech::{
            AssemblyAi, AssemblyAiFeatures, AssemblyAiSettings, AudioContent, AudioSource, Recogniser,
            RecogniserSettings, SpeechOptions, SpeechToText, Submission, Transcript, Voice,
        },
    },
};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::{
    dialogues::{data, samples, stereo},
    support::{Outside, TestApp},
};

const KEY: &str = "a-key-of-the-tests";

/// One recogniser for all of these tests, because it loads its weights for seconds and uses every core; it ends with the process.
fn recogniser() -> Option<Url> {
    static RUNNING: OnceLock<Option<Outside>> = OnceLock::new();
    let running = RUNNING.get_or_init(|| Outside::start("speech", &[("PLUMBLINE_SPEECH_KEY", KEY)]));
    if running.is_none() {
        crate::support::skipped("the recogniser is not installed");
    }
    running.as_ref().map(|running| running.url.join("v1").unwrap())
}

/// A recording of 41 s: the agent on the first channel, the customer on the second.
fn demo_call() -> Vec<u8> {
    fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo/content/audio/billing-rude-refusal.flac")).unwrap()
}

fn source(bytes: Vec<u8>, content_type: &str, channels: u16) -> AudioSource {
    AudioSource {
        length_bytes: bytes.len() as u64,
        content_type: content_type.into(),
        file_name: format!("call.{}", content_type.rsplit('/').next().unwrap()),
        channels: Some(channels),
        content: AudioContent::memory(bytes),
    }
}

fn client(base_url: Url, splits_channels: bool) -> Recogniser {
    let settings = RecogniserSettings {
        base_url,
        api_key: Some(SecretString::from(KEY)),
        model: "whisper-diarize".into(),
        splits_channels,
        max_audio_bytes: None,
        timeout: Duration::from_secs(600),
        retries: QuickRetries::default(),
    };
    Recogniser::new(settings, http_client().unwrap()).unwrap()
}

async fn heard(client: &Recogniser, audio: AudioSource) -> Transcript {
    let options = SpeechOptions { language: Some("en".into()), ..SpeechOptions::default() };
    match client.submit(audio, &options).await.unwrap() {
        Submission::Done(transcript) => transcript,
        other => panic!("a recogniser answers at once: {other:?}"),
    }
}

/// The voices in the order in which they take turns.
fn turns(transcript: &Transcript) -> Vec<Voice> {
    let mut voices: Vec<Voice> = transcript.utterances.iter().map(|utterance| utterance.voice.clone()).collect();
    voices.dedup();
    voices
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_channels_are_heard_and_one_channel_has_no_voices() {
    let Some(url) = recogniser() else { return };
    let both = heard(&client(url.clone(), true), source(demo_call(), "audio/flac", 2)).await;
    assert_eq!(turns(&both)[..2], [Voice::Channel(1), Voice::Channel(2)], "the agent greets: {both:?}");
    assert!(both.utterances.len() > 4 && turns(&both).iter().all(|voice| matches!(voice, Voice::Channel(1 | 2))));
    let mixed = heard(&client(url, true), source(demo_call(), "audio/flac", 1)).await;
    assert!(mixed.utterances.len() > 4 && turns(&mixed) == [Voice::Single], "{mixed:?}");
    assert_eq!(mixed.language.as_deref(), Some("en"), "the form of several voices names no language, this one does");
    for transcript in [both, mixed] {
        let length_ms = transcript.duration_ms.unwrap();
        assert!(transcript.utterances.iter().all(|utterance| utterance.end_ms <= length_ms + 500));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_speech_stand_in_hears_what_its_recogniser_hears() {
    let Some(base_url) = recogniser() else { return };
    let behind = standins::Recogniser { base_url, api_key: SecretString::from(KEY) };
    let options = StandInOptions { recogniser: Some(behind), ..StandInOptions::default() };
    let stand_ins = StandIns::start(options).await.unwrap();
    let settings = AssemblyAiSettings {
        base_url: stand_ins.assemblyai_url(),
        api_key: stand_ins.assemblyai_key(),
        speech_models: vec!["universal-2".into()],
        features: AssemblyAiFeatures { sentiment: true, entities: true, ..AssemblyAiFeatures::default() },
        timeout: Duration::from_secs(60),
        retries: QuickRetries::default(),
    };
    let client = AssemblyAi::new(settings, http_client().unwrap()).unwrap();
    // The recogniser gives no words for two channels, so without utterances there is only the text left.
    for (fault, voices) in
        [(None, vec![Voice::Channel(1), Voice::Channel(2)]), (Some(JobFault::NoUtterances), vec![Voice::Single])]
    {
        fault.into_iter().for_each(|fault| stand_ins.faults().next_job(fault));
        let audio = source(demo_call(), "audio/flac", 2);
        let Submission::Waiting { reference } = client.submit(audio, &SpeechOptions::default()).await.unwrap() else {
            panic!("the work takes time")
        };
        let transcript = loop {
            match client.fetch(&reference).await.unwrap() {
                Submission::Done(transcript) => break transcript,
                Submission::Waiting { .. } => tokio::time::sleep(Duration::from_millis(200)).await,
                Submission::Abandoned { reason } => panic!("{reason}"),
            }
        };
        assert!(voices.iter().all(|voice| turns(&transcript).contains(voice)), "{transcript:?}");
        assert!(!transcript.sentiments.is_empty());
        assert!(transcript.sentiments.iter().all(|judged| matches!(judged.voice, Voice::Channel(1 | 2))));
    }
}

/// How loudly each channel speaks, in frames of 20 ms: which of them are speech.
struct Loudness {
    channels: [Vec<bool>; 2],
    energy: [Vec<f64>; 2],
}

const FRAME_MS: u64 = 20;

impl Loudness {
    fn of(sides: [&[u8]; 2]) -> Self {
        let energy = sides.map(|wav| {
            let (rate, samples) = samples(wav);
            let frame = (u64::from(rate) * FRAME_MS / 1_000) as usize;
            let squares = |frame: &[[u8; 2]]| {
                frame.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)).powi(2)).sum::<f64>()
            };
            samples.chunks(frame).map(|samples| squares(samples) / samples.len() as f64).collect::<Vec<f64>>()
        });
        // Speech is what comes within 26 dB of the channel's loud frames.
        let channels = [0, 1].map(|side| {
            let mut sorted = energy[side].clone();
            sorted.sort_by(f64::total_cmp);
            let loud = sorted[sorted.len() * 95 / 100];
            energy[side].iter().map(|energy| *energy > loud / 400.0).collect()
        });
        Self { channels, energy }
    }

    fn speech_ms(&self, side: usize) -> u64 {
        self.channels[side].iter().filter(|speaks| **speaks).count() as u64 * FRAME_MS
    }

    /// Whether this side is the louder one between two times.
    fn louder(&self, side: usize, start_ms: u64, end_ms: u64) -> bool {
        let sum = |side: usize| {
            let frames = &self.energy[side];
            let at = |ms: u64| ((ms / FRAME_MS) as usize).min(frames.len());
            frames[at(start_ms)..at(end_ms.max(start_ms + FRAME_MS))].iter().sum::<f64>()
        };
        sum(side) > sum(1 - side)
    }
}

/// The first minute of a recording with one channel of 8 kHz and 16 bits.
fn minute(wav: &[u8]) -> Vec<u8> {
    let (rate, samples) = samples(wav);
    assert_eq!(rate, 8_000);
    let data: Vec<u8> = samples.into_iter().take(60 * 8_000).flatten().collect();
    let length = u32::try_from(data.len()).unwrap();
    let mut cut = b"RIFF".to_vec();
    cut.extend_from_slice(&(length + 36).to_le_bytes());
    cut.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    cut.extend_from_slice(&length.to_le_bytes());
    cut.extend_from_slice(&data);
    cut
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_that_are_sent_alone_are_heard_as_well_as_together() {
    let (Some(directory), Some(url)) = (data("audio"), recogniser()) else { return };
    let side = |name: &str| minute(&fs::read(directory.join(format!("auto_repairs_40_{name}.wav"))).unwrap());
    let (agent, caller) = (side("agent"), side("caller"));
    let recording = stereo(&agent, &caller);
    let loudness = Loudness::of([&agent, &caller]);
    let together = heard(&client(url.clone(), true), source(recording.clone(), "audio/wav", 2)).await;
    let alone = heard(&client(url, false), source(recording, "audio/wav", 2)).await;
    let words = |transcript: &Transcript, channel: u16| {
        let own = transcript.utterances.iter().filter(|said| said.voice == Voice::Channel(channel));
        own.map(|said| said.text.split_whitespace().count()).sum::<usize>() as f64
    };
    for channel in [1, 2] {
        let (together, alone) = (words(&together, channel), words(&alone, channel));
        assert!(together >= 20.0 && (together - alone).abs() <= together * 0.15, "{together} and {alone} words");
    }
    let right = alone.utterances.iter().filter(|said| match said.voice {
        Voice::Channel(channel) => loudness.louder(usize::from(channel) - 1, said.start_ms, said.end_ms),
        _ => false,
    });
    let share = right.count() as f64 / alone.utterances.len() as f64;
    assert!(share >= 0.9, "{share:.3} of the turns are on the channel that speaks: {alone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_call_keeps_its_speakers_talk_share_and_turn_order_to_its_evaluation() {
    let (Some(directory), Some(url)) = (data("audio"), recogniser()) else { return };
    let side = |name: &str| fs::read(directory.join(format!("auto_repairs_40_{name}.wav"))).unwrap();
    let (agent, caller) = (side("agent"), side("caller"));
    let app = TestApp::with(|config| {
        config.speech.provider = Some(SpeechProvider::Recogniser);
        config.speech.recogniser_base_url = Some(url);
        config.speech.recogniser_api_key = Some(SecretString::from(KEY));
    })
    .await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let query = format!("organization_id={}&language=en&agent_channel=1", tenant.sales);
    let sent = admin.upload(&query, stereo(&agent, &caller)).await;
    assert_eq!((sent.status, &sent.body["duration_ms"]), (202, &json!(245_380)), "{}", sent.body);
    let id = sent.text("call_id");
    app.drain_all().await;
    let call = app.call(&admin, &id).await;
    assert_eq!(call["status"], "evaluated", "{call:#}");

    let transcript = admin.get(&format!("/api/calls/{id}/transcript")).await.expect(200);
    let loudness = Loudness::of([&agent, &caller]);
    check_speakers(&transcript, &loudness);
    check_talk_share(&transcript, &loudness);
    app.finish().await;
}

fn utterances(transcript: &Value) -> Vec<(usize, u64, u64, &str)> {
    let utterances = transcript["utterances"].as_array().unwrap().iter();
    let told = utterances.map(|said| {
        let side = match said["speaker"].as_str().unwrap() {
            "agent" => 0,
            "customer" => 1,
            other => panic!("{other} on a recording with two channels"),
        };
        let time = |end: &str| said[end].as_u64().unwrap();
        (side, time("start_ms"), time("end_ms"), said["text"].as_str().unwrap())
    });
    told.collect()
}

/// Nearly every turn is on the channel that is the louder one during it, so speakers and the order of turns are right.
fn check_speakers(transcript: &Value, loudness: &Loudness) {
    let said = utterances(transcript);
    let by = |side: usize| said.iter().filter(|turn| turn.0 == side).count();
    assert!(by(0) >= 10 && by(1) >= 10, "{} and {} turns", by(0), by(1));
    assert!(said.is_sorted_by_key(|turn| turn.1), "turns are in order");
    assert!(said[0].0 == 0 && said[0].3.to_lowercase().contains("help"), "the agent answers the call: {:?}", said[0]);
    let right = said.iter().filter(|(side, start, end, _)| loudness.louder(*side, *start, *end)).count();
    let share = right as f64 / said.len() as f64;
    eprintln!("{right} of {} turns are on the channel that speaks", said.len());
    assert!(share >= 0.9, "{share:.3} of the turns are on the channel that speaks");
}

/// The agent's share of the talking, by the metrics and by the loudness of the channels.
fn check_talk_share(transcript: &Value, loudness: &Loudness) {
    let speakers = transcript["metrics"]["speakers"].as_array().unwrap();
    let talk_ms = |who: &str| speakers.iter().find(|one| one["speaker"] == who).unwrap()["talk_ms"].as_f64().unwrap();
    let told = talk_ms("agent") / (talk_ms("agent") + talk_ms("customer"));
    let (agent, caller) = (loudness.speech_ms(0) as f64, loudness.speech_ms(1) as f64);
    let measured = agent / (agent + caller);
    eprintln!("the agent's share of the talking: {told:.3} by the transcript, {measured:.3} by the channels' loudness");
    assert!((told - measured).abs() <= 0.1, "{told:.3} by the transcript, {measured:.3} by the channels' loudness");
}
