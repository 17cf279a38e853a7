use serde_json::json as value;

use super::*;
use crate::platform::providers::{
    faults::{Faults, Reply, SAID, code, json, key, reply, short_pauses},
    http_client,
};

fn settings(server: &Faults) -> OpenAiSettings {
    OpenAiSettings {
        base_url: server.url.join("v1/").unwrap(),
        api_key: key(),
        model: "judge-1".into(),
        organization: None,
        project: Some("quality".into()),
        temperature: None,
        seed: None,
        max_completion_tokens: None,
        timeout: Duration::from_secs(5),
        retries: short_pauses(),
    }
}

fn completion() -> Completion {
    Completion {
        system: "Judge.".into(),
        user: SAID.into(),
        schema_name: "answer".into(),
        schema: value!({"type": "object", "properties": {}, "required": [], "additionalProperties": false}),
        max_output_tokens: None,
    }
}

fn answer(finish_reason: Value, message: Value) -> Reply {
    json(
        200,
        value!({"id": "c", "object": "chat.completion", "created": 1, "model": "judge-1-2026", "choices": [
            {"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}, "new_field": {}}),
    )
    .with("x-request-id", "req_42")
}

fn said(content: &str) -> Value {
    value!({"role": "assistant", "content": content, "refusal": null})
}

async fn outcome(reply: Reply) -> &'static str {
    let server = Faults::new([reply]).await;
    let code = code(OpenAi::new(settings(&server), http_client().unwrap()).unwrap().complete(&completion()).await);
    assert_eq!(server.count(), 1);
    code
}

#[tokio::test]
async fn a_question_becomes_a_strict_request_and_the_answer_comes_as_it_is() {
    let content = " {\"greeting\": {\"verdict\": \"yes\"}} ";
    let server = Faults::new([answer(value!("stop"), said(content))]).await;
    let client = OpenAi::new(settings(&server), http_client().unwrap()).unwrap();
    let completed = client.complete(&completion()).await.unwrap();
    assert_eq!((completed.content.as_str(), completed.model.as_str()), (content, "judge-1-2026"));
    assert_eq!((completed.prompt_tokens, completed.completion_tokens), (11, 7));
    assert_eq!(completed.request_id.as_deref(), Some("req_42"));
    assert_eq!((client.name(), client.model()), ("openai", "judge-1"));

    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!((asked.header("openai-project"), asked.header("openai-organization")), ("quality", ""));
    assert!(asked.header("authorization").starts_with("Bearer sk-"));
    let schema = completion().schema;
    assert_eq!(
        asked.json(),
        value!({"model": "judge-1", "messages": [{"role": "system", "content": "Judge."}, {"role": "user", "content": SAID}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}},
            "store": false})
    );
}

#[tokio::test]
async fn settings_and_question_choose_temperature_and_tokens() {
    let server = Faults::new([(); 3].map(|()| answer(value!("stop"), said("{}")))).await;
    let settings = OpenAiSettings { temperature: Some(0.5), max_completion_tokens: Some(900), ..settings(&server) };
    let client = OpenAi::new(settings, http_client().unwrap()).unwrap();
    client.complete(&completion()).await.unwrap();
    client.complete(&Completion { max_output_tokens: Some(1800), ..completion() }).await.unwrap();
    client.complete(&Completion { max_output_tokens: Some(400), ..completion() }).await.unwrap();
    let bodies: Vec<_> = server.asked().iter().map(|asked| asked.json()).collect();
    assert_eq!((&bodies[0]["temperature"], &bodies[0]["max_completion_tokens"]), (&value!(0.5), &value!(900)));
    assert_eq!(bodies[1]["max_completion_tokens"], 900, "the setting is a cap");
    assert_eq!(bodies[2]["max_completion_tokens"], 400);
}

#[tokio::test]
async fn why_it_ended_comes_before_what_it_says() {
    // A cut answer that is valid JSON by accident is still a cut answer.
    assert_eq!(outcome(answer(value!("length"), said("{}"))).await, "truncated");
    assert_eq!(outcome(answer(value!("length"), said(""))).await, "truncated");
    assert_eq!(outcome(answer(value!("length"), said(&format!("{{\"quote\": \"{SAID}")))).await, "truncated");
    assert_eq!(outcome(answer(value!("content_filter"), said("{}"))).await, "content_filter");
    let refusal = value!({"role": "assistant", "content": null, "refusal": SAID});
    assert_eq!(outcome(answer(value!("stop"), refusal)).await, "refused");
    for unasked in [value!("tool_calls"), value!("next_year"), value!(null)] {
        assert_eq!(outcome(answer(unasked, said("{}"))).await, "garbage");
    }
}

#[tokio::test]
async fn garbage_is_typed_and_never_quoted() {
    for content in ["", "[]", "7", "Sure! {}", &format!("{{\"quote\": \"{SAID}\""), "{} {}"] {
        assert_eq!(outcome(answer(value!("stop"), said(content))).await, "garbage", "{content}");
    }
    assert_eq!(outcome(answer(value!("stop"), value!({"role": "assistant", "content": null}))).await, "garbage");
    assert_eq!(outcome(answer(value!("stop"), value!({"content": [{"text": SAID}]}))).await, "garbage");
    for body in ["", "<html>ok</html>", "{}", "null", "{\"choices\": []}", "{\"choices\": \"4111\"}"] {
        assert_eq!(outcome(reply(200, body.to_owned())).await, "garbage", "{body}");
    }
}

#[tokio::test]
async fn refusals_of_the_form_are_told_apart() {
    let refused = |status, code: &str| {
        json(status, value!({"error": {"message": SAID, "type": "invalid_request_error", "param": null, "code": code}}))
    };
    assert_eq!(outcome(refused(429, "insufficient_quota")).await, "quota");
    assert_eq!(outcome(refused(400, "unsupported_parameter")).await, "invalid_request");
    assert_eq!(outcome(refused(400, "context_length_exceeded")).await, "too_large");
    assert_eq!(outcome(refused(404, "model_not_found")).await, "invalid_request");
    assert_eq!(outcome(refused(401, "invalid_api_key")).await, "credentials");
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again() {
    let overloaded = value!({"error": {"message": "m", "type": "server_error", "param": null, "code": "slow_down"}});
    let server = Faults::new([
        json(503, overloaded),
        reply(429, "").with("retry-after-ms", "5"),
        answer(value!("stop"), said("{}")),
    ])
    .await;
    let client = OpenAi::new(settings(&server), http_client().unwrap()).unwrap();
    assert_eq!(client.complete(&completion()).await.unwrap().content, "{}");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn settings_do_not_show_the_key() {
    let server = Faults::new([]).await;
    let shown = format!("{:?}", settings(&server));
    assert!(shown.contains("judge-1") && !shown.contains("verysecret"), "{shown}");
}

/// What the log got, at its most talkative.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_has_request_ids_and_neither_keys_nor_words() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("plumbline=trace")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With a single subscriber in the process, tracing lets the thread that first reaches an event decide for all
    // threads whether it is wanted; the other tests' threads would say no.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let content = value!({"quote": SAID}).to_string();
    let server = Faults::new([
        reply(503, SAID).with("x-request-id", "req_41"),
        answer(value!("stop"), said(&content)),
        answer(value!("length"), said(&content)),
    ])
    .await;
    let client = OpenAi::new(settings(&server), http_client().unwrap()).unwrap();
    assert!(client.complete(&completion()).await.is_ok());
    assert_eq!(code(client.complete(&completion()).await), "truncated");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("req_41") && log.contains("req_42") && log.contains("provider answered"), "{log}");
    assert!(!log.contains("4111") && !log.contains("verysecret") && !log.contains("quote"), "{log}");
}
