use serde_json::{Value, json as value};

use super::*;
use crate::platform::providers::{
    faults::{Faults, SAID, code, json, key, reply, short_pauses},
    http_client,
    speech::AudioContent,
};

fn client(server: &Faults) -> Recogniser {
    client_that(server, true)
}

fn client_that(server: &Faults, splits_channels: bool) -> Recogniser {
    Recogniser::new(settings(server, splits_channels), http_client().unwrap()).unwrap()
}

fn settings(server: &Faults, splits_channels: bool) -> RecogniserSettings {
    RecogniserSettings {
        base_url: server.url.join("v1").unwrap(),
        api_key: Some(key()),
        model: "base".into(),
        splits_channels,
        max_audio_bytes: Some(1_000),
        timeout: Duration::from_secs(5),
        retries: short_pauses(),
    }
}

fn recording(channels: Option<u16>, length: usize) -> AudioSource {
    AudioSource {
        length_bytes: length as u64,
        content_type: "audio/wav".into(),
        file_name: "call.wav".into(),
        channels,
        content: AudioContent::memory(vec![b'a'; length]),
    }
}

async fn submit(channels: u16, answer: Value) -> Result<Transcript, ProviderError> {
    let server = Faults::new([json(200, answer)]).await;
    let result = client(&server).submit(recording(Some(channels), 8), &SpeechOptions::default()).await;
    assert_eq!(server.count(), 1);
    result.map(|submission| match submission {
        Submission::Done(transcript) => transcript,
        other => panic!("{other:?}"),
    })
}

fn said(voice: Voice, start_ms: u64, end_ms: u64, text: &str) -> SpokenUtterance {
    SpokenUtterance { voice, start_ms, end_ms, text: text.into(), confidence: None }
}

/// The text fields of a multipart body by name, in order.
fn form(body: &[u8]) -> Vec<(String, String)> {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let boundary = body.lines().next().unwrap().to_owned();
    let parts = body.split(&boundary).filter_map(|part| part.split_once("\r\n\r\n"));
    parts
        .map(|(head, content)| {
            let name = head.split("name=\"").nth(1).unwrap().split('"').next().unwrap();
            (name.to_owned(), content.trim_end_matches("\r\n").to_owned())
        })
        .collect()
}

#[tokio::test]
async fn one_channel_is_asked_for_words() {
    let server = Faults::new([json(200, value!({"text": ""}))]).await;
    let options = SpeechOptions {
        language: Some("en_US".into()),
        keyterms: vec!["Plumbline".into(), "Citus".into()],
        ..SpeechOptions::default()
    };
    client(&server).submit(recording(None, 8), &options).await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/audio/transcriptions"));
    assert!(asked.header("authorization").starts_with("Bearer sk-"));
    assert_eq!(asked.header("content-length"), asked.body.len().to_string());
    let fields = form(&asked.body);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        fields,
        [
            ("model", "base"),
            ("language", "en"),
            ("prompt", "Plumbline, Citus"),
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
            ("file", "aaaaaaaa"),
        ]
    );
    let body = String::from_utf8_lossy(&asked.body).into_owned();
    assert!(body.contains("filename=\"call.wav\"\r\nContent-Type: audio/wav\r\n"));
}

#[tokio::test]
async fn two_channels_are_asked_for_voices_by_channel() {
    let server = Faults::new([json(200, value!({"text": "", "segments": []}))]).await;
    let result = client(&server).submit(recording(Some(2), 8), &SpeechOptions::default()).await.unwrap();
    assert!(matches!(result, Submission::Done(transcript) if transcript.utterances.is_empty()));
    let names: Vec<_> = form(&server.asked()[0].body).into_iter().filter(|(name, _)| name != "file").collect();
    let expected = [
        ("model", "base"),
        ("response_format", "diarized_json"),
        ("known_speaker_names[]", "channel_1"),
        ("known_speaker_names[]", "channel_2"),
        ("chunking_strategy", "auto"),
    ];
    assert_eq!(names, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_model_that_tells_voices_apart_is_told_how_to_chunk_one_channel_too() {
    let server = Faults::new([json(200, value!({"text": ""}))]).await;
    let settings = RecogniserSettings { model: "whisper-diarize".into(), ..settings(&server, true) };
    let client = Recogniser::new(settings, http_client().unwrap()).unwrap();
    client.submit(recording(Some(1), 8), &SpeechOptions::default()).await.unwrap();
    assert!(form(&server.asked()[0].body).contains(&("chunking_strategy".into(), "auto".into())));
}

#[tokio::test]
async fn voices_are_channels_only_where_the_answer_says_so() {
    let segment = |start: f64, speaker: &str, text: &str| value!({"type": "transcript.text.segment", "id": "seg_001", "start": start, "end": start + 0.5, "text": text, "speaker": speaker});
    let segments = value!([
        segment(4.04, "channel_2", "Yes."),
        segment(0.1, "channel_1", " Hi. "),
        segment(6.0, "B", "Who?"),
        segment(7.0, "unknown", "Me.")
    ]);
    let transcript =
        submit(2, value!({"task": "transcribe", "duration": 8.47, "text": "t", "segments": segments})).await;
    let transcript = transcript.unwrap();
    assert_eq!((transcript.duration_ms, transcript.model.as_deref()), (Some(8_470), Some("base")));
    assert_eq!(
        transcript.utterances,
        [
            said(Voice::Channel(1), 100, 600, "Hi."),
            said(Voice::Channel(2), 4_040, 4_540, "Yes."),
            said(Voice::Label("B".into()), 6_000, 6_500, "Who?"),
            said(Voice::Single, 7_000, 7_500, "Me."),
        ]
    );
}

/// Two frames of two channels, 8 bits each: `lr`, `LR`.
const STEREO: &[u8] =
    b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x08\0data\x04\0\0\0lrLR";

fn stereo() -> AudioSource {
    AudioSource { length_bytes: STEREO.len() as u64, content: AudioContent::memory(STEREO), ..recording(Some(2), 0) }
}

#[tokio::test]
async fn a_recogniser_of_one_voice_hears_each_channel_alone() {
    let heard = |language: &str, start: f64, text: &str, word: &str| {
        value!({"language": language, "duration": 9.0, "text": text,
            "segments": [{"start": 0.0, "end": 9.0, "text": text}],
            "words": [{"word": word, "start": start, "end": start + 0.5}]})
    };
    let replies =
        [json(200, heard("english", 2.0, " Fine. ", "Fine.")), json(200, heard("welsh", 1.0, " Well? ", "Well?"))];
    let server = Faults::new(replies).await;
    let submitted = client_that(&server, false).submit(stereo(), &SpeechOptions::default()).await.unwrap();
    let Submission::Done(transcript) = submitted else { panic!("{submitted:?}") };
    assert_eq!(
        transcript.utterances,
        [said(Voice::Channel(2), 1_000, 1_500, "Well?"), said(Voice::Channel(1), 2_000, 2_500, "Fine.")]
    );
    assert_eq!((transcript.duration_ms, transcript.language.as_deref()), (Some(9_000), Some("en")));
    assert_eq!(server.count(), 2);
    for (asked, samples) in server.asked().iter().zip(["lL", "rR"]) {
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        assert!(body.contains("verbose_json") && !body.contains("diarized_json") && !body.contains("known_speaker"));
        assert!(body.contains(&format!("data\u{2}\0\0\0{samples}\r\n")), "{body}");
    }
}

#[tokio::test]
async fn a_channel_that_fails_fails_the_recording_and_what_cannot_be_taken_apart_is_refused() {
    let server = Faults::new([json(200, value!({"text": "", "duration": 1.0})), json(401, value!({}))]).await;
    let result = client_that(&server, false).submit(stereo(), &SpeechOptions::default()).await;
    assert_eq!((code(result), server.count()), ("credentials", 2));
    let server = Faults::new([]).await;
    let result = client_that(&server, false).submit(recording(Some(2), 8), &SpeechOptions::default()).await;
    assert_eq!((code(result), server.count()), ("invalid_request", 0));
}

#[tokio::test]
async fn missing_voices_are_garbage_and_not_one_speaker() {
    assert_eq!(code(submit(2, value!({"text": SAID})).await), "garbage");
    assert_eq!(code(submit(2, value!({"text": SAID, "segments": null})).await), "garbage");
    let nobody = value!([{"start": 0.0, "end": 1.0, "text": SAID, "speaker": null}]);
    assert_eq!(code(submit(2, value!({"text": SAID, "segments": nobody})).await), "garbage");
}

#[tokio::test]
async fn sentences_take_the_times_of_their_words() {
    let segments = value!([
        {"id": 0, "start": 0.0, "end": 30.0, "text": " Hello, it's Michelle."},
        {"id": 1, "start": 30.0, "end": 47.4, "text": " - How can I help?"},
    ]);
    let word = |word: &str, start: f64| value!({"word": word, "start": start, "end": start + 0.3});
    let words = value!([
        word("Hello,", 6.2),
        word("it's", 6.6),
        word("Michelle.", 7.0),
        word("How", 40.0),
        word("can", 40.4),
        word("I", 40.8),
        word("help?", 41.0)
    ]);
    let answer = |words: Value| value!({"language": "english", "duration": 47.4, "text": "t", "segments": segments, "words": words});
    let transcript = submit(1, answer(words)).await.unwrap();
    assert_eq!(transcript.language.as_deref(), Some("en"), "OpenAI names languages in English");
    assert_eq!(
        transcript.utterances,
        [
            said(Voice::Single, 6_200, 7_300, "Hello, it's Michelle."),
            said(Voice::Single, 40_000, 41_300, "- How can I help?"),
        ]
    );
    // Words that are not the sentences' words: their times are kept, the sentences are not.
    let others = submit(1, answer(value!([word("Bye", 3.0), word("now", 9.0)]))).await.unwrap();
    assert_eq!(others.utterances, [said(Voice::Single, 3_000, 3_300, "Bye"), said(Voice::Single, 9_000, 9_300, "now")]);
    let coarse = submit(1, answer(value!(null))).await.unwrap();
    assert_eq!(coarse.utterances[0], said(Voice::Single, 0, 30_000, "Hello, it's Michelle."));
}

#[tokio::test]
async fn garbage_is_typed_and_never_quoted() {
    for body in ["", "<html>ok</html>", "[]", "{}", "{\"text\": \"my card number is 4111\"}", "{\"words\": \"4111\"}"] {
        let server = Faults::new([reply(200, body.to_owned())]).await;
        let result = client(&server).submit(recording(Some(1), 8), &SpeechOptions::default()).await;
        assert_eq!((code(result), server.count()), ("garbage", 1), "{body}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let refused = |status, param: Value| {
        json(status, value!({"error": {"message": SAID, "type": "invalid_request_error", "param": param}}))
    };
    for (reply, kind) in [
        (refused(400, value!("file")), "bad_audio"),
        (refused(400, value!("response_format")), "invalid_request"),
        (refused(401, value!(null)), "credentials"),
        (json(422, value!({"detail": [{"loc": ["body", "model"]}]})), "invalid_request"),
    ] {
        let server = Faults::new([reply]).await;
        let result = client(&server).submit(recording(Some(1), 8), &SpeechOptions::default()).await;
        assert_eq!((code(result), server.count()), (kind, 1));
    }
}

#[tokio::test]
async fn too_large_a_recording_is_not_sent() {
    let server = Faults::new([]).await;
    let result = client(&server).submit(recording(Some(1), 1_001), &SpeechOptions::default()).await;
    assert_eq!((code(result), server.count()), ("too_large", 0));
    assert_eq!(code(client(&server).fetch("t1").await), "unknown_reference");
}
