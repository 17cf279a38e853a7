use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::stream;
use serde_json::json as value;

use super::*;
use crate::platform::providers::{
    faults::{Faults, KEY, Reply, code, json, key, reply, short_pauses},
    refusal,
    speech::AudioContent,
};

fn line(base: &Url) -> Line {
    let client = http_client().unwrap();
    let line = Line::new("test", client, base, "Bearer ", Some(&key()), Duration::from_secs(5), refusal::openai);
    line.unwrap().retrying(short_pauses())
}

fn question(payload: Payload<'_>, repeat: Repeat) -> Question<'_> {
    Question {
        name: "question",
        method: Method::POST,
        path: &["a", "b/c"],
        payload,
        repeat,
        longest_answer_bytes: 1000,
    }
}

async fn ask(server: &Faults, repeat: Repeat) -> Result<Answer, ProviderError> {
    line(&server.url).ask(&question(Payload::Nothing, repeat)).await
}

fn audio(content: AudioContent, length_bytes: u64) -> AudioSource {
    AudioSource { length_bytes, content_type: "audio/wav".into(), file_name: "a.wav".into(), channels: None, content }
}

/// The error and how often the server was asked.
async fn outcome(script: Vec<Reply>, repeat: Repeat) -> (&'static str, usize) {
    let server = Faults::new(script).await;
    (code(ask(&server, repeat).await), server.count())
}

#[tokio::test]
async fn a_short_wish_is_waited_for() {
    let server = Faults::new([reply(429, "").with("retry-after", "1"), reply(200, "ok")]).await;
    let begun = Instant::now();
    assert_eq!(ask(&server, Repeat::OnlyUntaken).await.unwrap().body, "ok");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.count(), 2);
    assert_eq!(server.asked()[1].path, "/a/b%2Fc");
}

#[tokio::test]
async fn a_long_wish_goes_to_the_queue() {
    let server = Faults::new([reply(429, "").with("retry-after", "300")]).await;
    let error = ask(&server, Repeat::Freely).await.err().unwrap();
    assert!(matches!(error, ProviderError::Temporary { retry_after: Some(wish), .. } if wish.as_secs() == 300));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn the_provider_is_asked_three_times_at_most() {
    let html = || reply(503, "<html>Service Unavailable</html>").with("content-type", "text/html");
    assert_eq!(outcome(vec![html(), html(), html()], Repeat::Freely).await, ("temporary", 3));
    assert_eq!(outcome(vec![reply(500, ""), reply(409, ""), reply(408, "")], Repeat::Freely).await, ("temporary", 3));
}

#[tokio::test]
async fn what_costs_twice_is_repeated_only_if_it_was_surely_not_taken() {
    assert_eq!(outcome(vec![reply(500, "")], Repeat::OnlyUntaken).await, ("temporary", 1));
    assert_eq!(outcome(vec![reply(429, ""), reply(503, "")], Repeat::OnlyUntaken).await, ("temporary", 2));
}

#[tokio::test]
async fn permanent_refusals_are_asked_once() {
    let quota = value!({"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}});
    assert_eq!(outcome(vec![json(429, quota).with("retry-after", "1")], Repeat::Freely).await, ("quota", 1));
    for (status, kind) in [(400, "invalid_request"), (401, "credentials"), (403, "credentials"), (413, "too_large")] {
        assert_eq!(outcome(vec![reply(status, KEY)], Repeat::Freely).await, (kind, 1));
    }
}

#[tokio::test]
async fn the_providers_own_word_on_retries_wins() {
    let no = reply(503, "").with("x-should-retry", "false");
    assert_eq!(outcome(vec![no], Repeat::Freely).await, ("refused", 1));
    let server = Faults::new([reply(400, "").with("x-should-retry", "true"), reply(200, "ok")]).await;
    assert!(ask(&server, Repeat::Freely).await.is_ok());
}

#[tokio::test]
async fn a_key_or_page_that_comes_back_is_not_repeated() {
    let body = value!({"error": {"message": KEY, "code": KEY, "type": KEY, "param": KEY}});
    let script = vec![json(400, body).with("x-request-id", format!("req-{KEY}"))];
    let server = Faults::new(script).await;
    let error = ask(&server, Repeat::Freely).await.err().unwrap();
    assert!(error.to_string().contains("request req-[key]"), "{error}");
    assert_eq!(code(Err::<(), _>(error)), "invalid_request");
    assert_eq!(server.asked()[0].header("authorization"), format!("Bearer {KEY}"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Faults::new([]).await;
    let redirect = reply(307, "").with("location", other.url.to_string());
    assert_eq!(outcome(vec![redirect], Repeat::Freely).await, ("invalid_request", 1));
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn a_broken_connection_is_temporary() {
    let broken = || reply(200, "{\"half\":").broken();
    assert_eq!(outcome(vec![broken(), broken(), broken()], Repeat::Freely).await, ("temporary", 3));
    assert_eq!(outcome(vec![broken()], Repeat::OnlyUntaken).await, ("temporary", 1));
    let server = Faults::new([broken(), reply(200, "ok")]).await;
    assert_eq!(ask(&server, Repeat::Freely).await.unwrap().body, "ok");
}

#[tokio::test]
async fn nobody_listening_is_temporary() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base = Url::parse(&format!("http://{free}")).unwrap();
    let result = line(&base).ask(&question(Payload::Nothing, Repeat::OnlyUntaken)).await;
    let error = result.err().unwrap();
    assert_eq!(error.to_string(), "test, temporary: question: no connection: connection refused");
}

#[tokio::test]
async fn a_slow_body_runs_into_the_timeout_once() {
    let server = Faults::new([reply(200, "{").hanging()]).await;
    let mut line = line(&server.url);
    line.timeout = Duration::from_millis(200);
    assert_eq!(code(line.ask(&question(Payload::Nothing, Repeat::Freely)).await), "temporary");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn too_long_an_answer_is_garbage() {
    assert_eq!(outcome(vec![reply(200, vec![b' '; 1001])], Repeat::Freely).await, ("garbage", 1));
    let server = Faults::new([reply(200, vec![b' '; 1000])]).await;
    assert_eq!(ask(&server, Repeat::Freely).await.unwrap().body.len(), 1000);
    // The refusal's status stands, however long its page is.
    assert_eq!(outcome(vec![reply(401, vec![b'x'; 200_000])], Repeat::Freely).await, ("credentials", 1));
}

#[tokio::test]
async fn a_recording_is_opened_again_for_every_attempt() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    let content = AudioContent::reopening(move || {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok(stream::iter([Ok(Bytes::from_static(b"RIFF")), Ok(Bytes::from_static(b"data"))]).boxed()) }
    });
    let (server, audio) = (Faults::new([reply(503, ""), reply(200, "ok")]).await, audio(content, 8));
    line(&server.url).ask(&question(Payload::Audio(&audio), Repeat::Freely)).await.unwrap();
    let asked = server.asked();
    assert_eq!((opened.load(Ordering::Relaxed), server.count()), (2, 2));
    assert!(asked.iter().all(|asked| asked.body == "RIFFdata" && asked.header("content-length") == "8"));
    assert_eq!(asked[0].header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn a_recording_that_reads_once_is_sent_once() {
    let content = AudioContent::once(stream::iter([Ok(Bytes::from_static(b"RIFF"))]));
    let (server, audio) = (Faults::new([reply(503, "")]).await, audio(content, 4));
    let line = line(&server.url);
    assert_eq!(code(line.ask(&question(Payload::Audio(&audio), Repeat::Freely)).await), "temporary");
    assert_eq!(server.count(), 1);
    let again = line.ask(&question(Payload::Audio(&audio), Repeat::Freely)).await.err().unwrap();
    assert!(again.to_string().contains("could not be opened"), "{again}");
}

#[tokio::test]
async fn a_recording_that_breaks_or_lies_about_its_length_is_named() {
    let server = Faults::new([]).await;
    let broken = || io::Error::new(io::ErrorKind::PermissionDenied, "/secret/path");
    let pieces = move || stream::iter([Ok(Bytes::from_static(b"RI")), Err(broken())]);
    for (content, kind) in [
        (AudioContent::reopening(move || async move { Ok(pieces().boxed()) }), "permission denied"),
        (AudioContent::memory("RI"), "unexpected end of file"),
        (AudioContent::memory("RIFFRIFF"), "invalid data"),
    ] {
        let audio = audio(content, 4);
        let error = line(&server.url).ask(&question(Payload::Audio(&audio), Repeat::Freely)).await.err().unwrap();
        assert_eq!(error.to_string(), format!("test, temporary: question: the recording could not be read: {kind}"));
    }
}

#[tokio::test]
async fn addresses_and_keys_that_cannot_be_are_refused() {
    let new = |base: &str, key: &str| {
        let key = SecretString::from(key);
        let base = Url::parse(base).unwrap();
        let line = Line::new("t", http_client().unwrap(), &base, "", Some(&key), Duration::ZERO, refusal::openai);
        line.map(|_| ())
    };
    assert!(new("https://api.example.com/v1", KEY).is_ok());
    for base in ["ftp://host/", "data:text/plain,x", "https://user:pw@host/", "https://host/?key=1"] {
        assert_eq!(code(new(base, KEY)), "invalid_request", "{base}");
    }
    for key in ["", "  ", "line\nbreak"] {
        assert_eq!(code(new("https://host/", key)), "credentials");
    }
}
