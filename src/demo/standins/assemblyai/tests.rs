use std::sync::atomic::{AtomicU16, AtomicU64};

use poem::EndpointExt;
use reqwest::Client;
use secrecy::ExposeSecret;

use super::{params::Webhook, *};
use crate::demo::standins::StandIns;

/// What a test's receiver and recogniser got.
#[derive(Default)]
struct Seen {
    webhooks: Mutex<Vec<(Option<String>, Value)>>,
    forms: Mutex<Vec<String>>,
    answer: AtomicU16,
}

/// A recogniser with fixed answers (for the form; recognition itself needs the real one), an audio file, and a webhook receiver.
async fn neighbours(seen: Arc<Seen>) -> String {
    let (forms, hooks) = (seen.clone(), seen);
    let recognise = make(move |mut request: Request| {
        let forms = forms.clone();
        async move {
            let form = String::from_utf8_lossy(&request.take_body().into_bytes().await?).into_owned();
            let stereo = form.contains("diarized_json");
            forms.forms.lock().unwrap().push(form);
            let answer = if stereo {
                json!({"task": "transcribe", "duration": 8.5, "text": "", "segments": [
                    {"id": "seg_001", "start": 0.5, "end": 2.25, "text": "Good morning.", "speaker": "A"},
                    {"id": "seg_002", "start": 3.0, "end": 4.0, "text": "Hello.", "speaker": "B"}]})
            } else {
                json!({"duration": 8.5, "language": "en", "text": "", "words": [
                        {"word": "Good", "start": 0.5, "end": 0.75}, {"word": "morning.", "start": 0.75, "end": 1.5}],
                    "segments": [{"start": 0.0, "end": 2.0, "text": " Good morning.", "avg_logprob": -0.2}]})
            };
            Ok::<_, poem::Error>(server::json(StatusCode::OK, &answer))
        }
    });
    let hook = make(move |mut request: Request| {
        let hooks = hooks.clone();
        async move {
            let secret = request.header("x-secret").map(str::to_owned);
            let body = request.take_body().into_json().await?;
            hooks.webhooks.lock().unwrap().push((secret, body));
            let status = match hooks.answer.load(std::sync::atomic::Ordering::Relaxed) {
                0 => StatusCode::NO_CONTENT,
                code => StatusCode::from_u16(code).unwrap(),
            };
            Ok::<_, poem::Error>(Response::from(status))
        }
    });
    let audio = make(|request: Request| async move {
        let signed = request.uri().query() == Some("signature=right");
        Ok::<_, poem::Error>(if signed { Response::builder().body(wav(1)) } else { StatusCode::FORBIDDEN.into() })
    });
    let routes = Route::new()
        .at("/v1/audio/transcriptions", post(recognise))
        .at("/hook", post(hook))
        .at("/audio.wav", get(audio))
        .boxed();
    format!("http://{}", server::serve(|_| routes, Duration::ZERO, CancellationToken::new()).await.unwrap())
}

fn wav(channels: u16) -> Vec<u8> {
    let mut wav = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0".to_vec();
    wav.extend(channels.to_le_bytes());
    wav.extend(b"\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0");
    wav
}

struct Desk {
    stand_ins: StandIns,
    near: String,
    seen: Arc<Seen>,
}

impl Desk {
    async fn with(recogniser: bool) -> Self {
        Self::slow(recogniser, Duration::from_millis(60)).await
    }

    async fn slow(recogniser: bool, processing_delay: Duration) -> Self {
        let seen = Arc::new(Seen::default());
        let near = neighbours(seen.clone()).await;
        let recogniser = recogniser
            .then(|| Recogniser { base_url: Url::parse(&near).unwrap(), api_key: "test-key".to_owned().into() });
        let options = StandInOptions { recogniser, processing_delay, ..StandInOptions::default() };
        Self { stand_ins: StandIns::start(options).await.unwrap(), near, seen }
    }

    fn request(&self, method: reqwest::Method, path: &str, suffix: &str) -> reqwest::RequestBuilder {
        let key = format!("{}{suffix}", self.stand_ins.assemblyai_key().expose_secret());
        let url = self.stand_ins.assemblyai_url().join(path).unwrap();
        Client::new().request(method, url).header("authorization", key)
    }

    async fn upload(&self, file: Vec<u8>) -> String {
        let answer = self.request(reqwest::Method::POST, "/v2/upload", "").body(file).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["upload_url"].as_str().unwrap().to_owned()
    }

    async fn create(&self, suffix: &str, audio_url: &str, more: Value) -> (u16, Value) {
        let mut body = json!({"audio_url": audio_url, "speech_models": ["universal-2"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.request(reqwest::Method::POST, "/v2/transcript", suffix).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, id: &str) -> Value {
        self.request(reqwest::Method::GET, &format!("/v2/transcript/{id}"), "")
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Creates a job and polls it to its end; gives the statuses seen and the last object.
    async fn finish(&self, audio_url: &str, more: Value) -> (Vec<String>, Value) {
        let (status, mut body) = self.create("", audio_url, more).await;
        assert_eq!(status, 200, "{body}");
        let id = body["id"].as_str().unwrap().to_owned();
        let mut statuses = vec![body["status"].as_str().unwrap().to_owned()];
        for _ in 0..400 {
            if matches!(statuses.last().unwrap().as_str(), "completed" | "error") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            body = self.get(&id).await;
            statuses.push(body["status"].as_str().unwrap().to_owned());
        }
        statuses.dedup();
        (statuses, body)
    }

    async fn webhooks(&self, count: usize) -> Vec<(Option<String>, Value)> {
        for _ in 0..400 {
            if self.seen.webhooks.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.seen.webhooks.lock().unwrap().clone()
    }

    fn hook(&self) -> Value {
        json!({"webhook_url": format!("{}/hook", self.near), "webhook_auth_header_name": "x-secret", "webhook_auth_header_value": "s3"})
    }
}

#[tokio::test]
async fn a_stereo_upload_becomes_utterances_by_channel() {
    let desk = Desk::with(true).await;
    let url = desk.upload(wav(2)).await;
    let (statuses, body) = desk.finish(&url, json!({"multichannel": true})).await;
    assert_eq!(statuses, ["queued", "processing", "completed"]);
    let said = json!({"speaker": "1", "text": "Good morning.", "start": 500, "end": 2250, "confidence": null, "words": [], "channel": "1"});
    assert_eq!(body["utterances"][0], said);
    assert_eq!(body["utterances"][1]["speaker"], "2");
    assert_eq!(
        (&body["audio_duration"], &body["audio_channels"], &body["text"]),
        (&json!(9), &json!(2), &json!("Good morning. Hello."))
    );
    let form = desk.seen.forms.lock().unwrap()[0].clone();
    assert!(
        form.contains("diarize") && form.contains("chunking_strategy") && form.contains("RIFF"),
        "the audio went along"
    );
    let (_, both) = desk.finish(&url, json!({"multichannel": true, "speaker_labels": true})).await;
    assert_eq!(both["utterances"][1]["speaker"], "2A");
}

#[tokio::test]
async fn mono_audio_by_presigned_url_has_words_and_utterances_only_when_asked() {
    let desk = Desk::with(true).await;
    let url = format!("{}/audio.wav?signature=right", desk.near);
    let (_, body) = desk.finish(&url, json!({})).await;
    assert_eq!((&body["status"], &body["utterances"]), (&json!("completed"), &Value::Null));
    assert_eq!(
        (&body["words"][1]["text"], &body["words"][1]["start"], &body["words"][1]["end"]),
        (&json!("morning."), &json!(750), &json!(1500))
    );
    let (_, body) = desk.finish(&url, json!({"speaker_labels": true, "language_detection": true})).await;
    assert_eq!((&body["utterances"][0]["speaker"], &body["utterances"][0]["start"]), (&json!("A"), &json!(500)));
    assert_eq!(body["language_code"], "en");
    assert_eq!(desk.stand_ins.requests().audio_fetches, 2);
    let (_, expired) = desk.finish(&format!("{}/audio.wav?signature=expired", desk.near), json!({})).await;
    assert_eq!(expired["status"], "error");
    let said = expired["error"].as_str().unwrap();
    assert!(said.starts_with("Download error, unable to download") && !said.contains("expired"), "{said}");
    let (_, away) = desk.finish("https://example.com/a.wav", json!({})).await;
    assert!(away["error"].as_str().unwrap().contains("this machine only"));
}

#[tokio::test]
async fn without_a_recogniser_no_transcript_is_invented() {
    let desk = Desk::with(false).await;
    let url = desk.upload(wav(2)).await;
    let (statuses, body) = desk.finish(&url, json!({"multichannel": true})).await;
    assert_eq!(statuses.last().unwrap(), "error");
    assert!(body["error"].as_str().unwrap().contains("No speech recogniser is installed"));
    assert_eq!((&body["text"], &body["utterances"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn keys_parameters_and_foreign_uploads_are_refused() {
    let desk = Desk::with(true).await;
    let url = desk.upload(wav(1)).await;
    assert_eq!(desk.create("x", &url, json!({})).await.0, 401);
    assert_eq!(desk.create("", &url, json!({"speaker_lables": true})).await.0, 400);
    assert_eq!(desk.create("", &url, json!({"speech_models": null})).await.0, 400);
    let (status, body) = desk.create(".other_account", &url, json!({})).await;
    assert_eq!((status, &body["error"]), (403, &json!("Cannot access uploaded file")));
    assert_eq!(Client::new().get(&url).send().await.unwrap().status(), 403, "uploads are read by the service alone");
    let answer = desk.request(reqwest::Method::GET, "/v2/transcript/nothing", "").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "Transcript lookup error, transcript id not found");
    let (_, page) = desk.finish(&desk.upload(b"<!DOCTYPE html><html></html>".to_vec()).await, json!({})).await;
    assert!(
        page["error"].as_str().unwrap().starts_with("File does not appear to contain audio. File type is text/html")
    );
    let (_, redacted) = desk.finish(&url, json!({"redact_pii": true, "redact_pii_policies": ["person_name"]})).await;
    assert_eq!((&redacted["status"], &redacted["text"]), (&json!("error"), &Value::Null));
}

#[tokio::test]
async fn sentiment_and_redaction_come_when_they_are_asked_for() {
    let desk = Desk::with(true).await;
    let url = desk.upload(wav(2)).await;
    let (_, body) = desk.finish(&url, json!({"multichannel": true})).await;
    assert_eq!((&body["sentiment_analysis_results"], &body["entities"]), (&Value::Null, &Value::Null));
    let more = json!({"multichannel": true, "sentiment_analysis": true, "entity_detection": true, "redact_pii": true,
        "redact_pii_policies": ["phone_number"], "redact_pii_sub": "entity_name"});
    let (_, body) = desk.finish(&url, more).await;
    let judged = &body["sentiment_analysis_results"][0];
    let told = (&judged["sentiment"], &judged["speaker"], &judged["channel"], &judged["text"]);
    assert_eq!(told, (&json!("POSITIVE"), &json!("1"), &json!("1"), &json!("Good morning.")));
    assert_eq!((&body["redact_pii"], &body["entities"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn deleting_removes_the_content_and_the_upload() {
    let desk = Desk::with(true).await;
    let url = desk.upload(wav(1)).await;
    let (_, body) = desk.finish(&url, json!({})).await;
    let path = format!("/v2/transcript/{}", body["id"].as_str().unwrap());
    let deleted: Value = desk.request(reqwest::Method::DELETE, &path, "").send().await.unwrap().json().await.unwrap();
    assert_eq!((&deleted["text"], &deleted["audio_url"]), (&Value::Null, &json!("http://deleted_by_user")));
    assert_eq!(desk.create("", &url, json!({})).await.0, 403, "the upload is gone");
    let foreign = desk.request(reqwest::Method::DELETE, &path, ".other_account").send().await.unwrap();
    assert_eq!(foreign.status(), 400);
}

#[tokio::test]
async fn webhooks_carry_the_header_and_their_faults_happen() {
    let desk = Desk::with(true).await;
    let url = desk.upload(wav(1)).await;
    let (_, body) = desk.finish(&url, desk.hook()).await;
    let right = (Some("s3".to_owned()), json!({"transcript_id": body["id"], "status": "completed"}));
    assert_eq!(desk.webhooks(1).await, [right]);
    desk.stand_ins.faults().next_job(JobFault::WebhookForged);
    desk.finish(&url, desk.hook()).await;
    let secrets: Vec<_> = desk.webhooks(3).await.into_iter().map(|(secret, _)| secret.unwrap()).collect();
    assert_eq!(secrets, ["s3", "a guess", "s3"]);
    desk.stand_ins.faults().next_job(JobFault::WebhookTwice);
    desk.finish(&url, desk.hook()).await;
    let all = desk.webhooks(5).await;
    assert_eq!(all[3], all[4]);
}

#[tokio::test]
async fn an_early_webhook_comes_while_the_job_is_processing() {
    let desk = Desk::slow(true, Duration::from_secs(2)).await;
    let url = desk.upload(wav(1)).await;
    desk.stand_ins.faults().next_job(JobFault::WebhookEarly);
    let (_, created) = desk.create("", &url, desk.hook()).await;
    assert_eq!(desk.webhooks(1).await[0].1["transcript_id"], created["id"]);
    assert_eq!(desk.get(created["id"].as_str().unwrap()).await["status"], "processing", "the hint came too early");
}

#[tokio::test]
async fn delivery_tries_ten_times_and_a_4xx_ends_it() {
    let seen = Arc::new(Seen::default());
    let near = neighbours(seen.clone()).await;
    let webhook = Webhook { url: Url::parse(&format!("{near}/hook")).unwrap(), header: None };
    for (answer, attempts) in [(500, 10), (404, 1), (204, 1)] {
        seen.answer.store(answer, std::sync::atomic::Ordering::Relaxed);
        let counter = AtomicU64::new(0);
        let body = webhook::notification("a", "completed");
        let last = webhook::deliver(&Client::new(), &webhook, &body, Duration::from_millis(1), &counter).await;
        assert_eq!((last, counter.into_inner()), (Some(answer), attempts));
    }
}

#[tokio::test]
async fn faults_of_requests_and_jobs() {
    let desk = Desk::with(true).await;
    let faults = desk.stand_ins.faults();
    let url = desk.upload(wav(1)).await;
    faults.next_create(Fault::RateLimited(crate::demo::standins::faults::RetryHint::Seconds(1)));
    assert_eq!(desk.create("", &url, json!({})).await, (429, json!({"error": "Too Many Requests"})));
    let labels = || json!({"speaker_labels": true, "sentiment_analysis": true});
    let cases: [(JobFault, &str, Value); 7] = [
        (JobFault::Download, "/status", json!("error")),
        (JobFault::NotAudio, "/status", json!("error")),
        (JobFault::TooShort, "/error", json!("Audio duration is too short.")),
        (JobFault::NoUtterances, "/utterances", Value::Null),
        (JobFault::Duration(30), "/audio_duration", json!(30)),
        (JobFault::SentimentWithoutStart, "/sentiment_analysis_results/0/start", Value::Null),
        (JobFault::UnknownSentiment, "/sentiment_analysis_results/0/sentiment", json!("MIXED")),
    ];
    for (fault, pointer, expected) in cases {
        faults.next_job(fault.clone());
        let (_, body) = desk.finish(&url, labels()).await;
        assert_eq!(body.pointer(pointer), Some(&expected), "{fault:?}");
    }
    let (_, body) = desk.finish(&url, labels()).await;
    let id = body["id"].as_str().unwrap();
    faults.next_read(ReadFault::UnknownStatus);
    assert_eq!(desk.get(id).await["status"], "hibernating");
    faults.next_read(ReadFault::NotFound);
    assert_eq!(desk.get(id).await["error"], "Transcript lookup error, transcript id not found");
    faults.next_read(Fault::UnavailablePage);
    let path = format!("/v2/transcript/{id}");
    assert_eq!(desk.request(reqwest::Method::GET, &path, "").send().await.unwrap().status(), 503);
    let suffixed = desk.request(reqwest::Method::GET, &path, ".gateway_timeout").send().await.unwrap();
    assert_eq!((suffixed.status().as_u16(), suffixed.bytes().await.unwrap().len()), (504, 0));
}
