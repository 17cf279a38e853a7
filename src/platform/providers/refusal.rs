//! What a refusal means: by its status, and by the error body in OpenAI's form.

use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::Value;

use super::PermanentKind;

/// An answer whose status is not a success.
pub(super) struct Refusal {
    pub status: StatusCode,
    /// Empty when it could not be read or was too long.
    pub body: Bytes,
}

/// What a refusal comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// None: temporary.
    pub kind: Option<PermanentKind>,
    /// In our words.
    pub reason: String,
}

/// Reads a refusal of one provider.
pub(super) type Judge = fn(&Refusal) -> Verdict;

impl Verdict {
    pub(super) fn permanent(kind: PermanentKind, reason: impl Into<String>) -> Self {
        Self { kind: Some(kind), reason: reason.into() }
    }

    /// The meaning of a status where the body says no more.
    pub(super) fn of_status(status: StatusCode) -> Self {
        use PermanentKind::*;
        let (kind, reason) = match status.as_u16() {
            408 => (None, "the provider timed out"),
            409 => (None, "the provider is busy with a conflicting request"),
            425 | 429 => (None, "too many requests"),
            500.. => (None, "the provider is out of order"),
            300..400 => (Some(InvalidRequest), "the address redirects elsewhere, which is not followed"),
            401 => (Some(Credentials), "the key is not accepted"),
            402 => (Some(Quota), "the account must be paid for"),
            403 => (Some(Credentials), "the key is not allowed to do this"),
            404 | 405 | 410 => (Some(InvalidRequest), "the address or the model does not exist"),
            400 | 422 => (Some(InvalidRequest), "the request is not accepted"),
            413 => (Some(TooLarge), "the request is too large"),
            415 => (Some(BadAudio), "the media type is not accepted"),
            _ => (Some(Refused), "the provider refused"),
        };
        Self { kind, reason: reason.into() }
    }
}

/// Reads a refusal in OpenAI's form, `{"error":{"message","type","param","code"}}`. The message is never repeated: it
/// can hold parts of the key and of what was sent.
pub(super) fn openai(refusal: &Refusal) -> Verdict {
    let body: Value = serde_json::from_slice(&refusal.body).unwrap_or_default();
    let detail = |name: &str| body["error"][name].as_str().filter(|word| is_code(word));
    let (code, kind, parameter) = (detail("code"), detail("type"), detail("param"));
    let said = |words: &[&str]| [code, kind].into_iter().flatten().any(|word| words.contains(&word));
    let mut verdict = if said(&[
        "insufficient_quota",
        "credit_balance_exhausted",
        "billing_hard_limit_reached",
        "billing_not_active",
    ]) {
        Verdict::permanent(PermanentKind::Quota, "the account has no quota left")
    } else if said(&["content_filter", "content_policy_violation"]) {
        Verdict::permanent(PermanentKind::ContentFilter, "the content filter stopped the question")
    } else if said(&["context_length_exceeded", "string_above_max_length"]) {
        Verdict::permanent(PermanentKind::TooLarge, "the question is longer than the model takes")
    } else if refusal.status == StatusCode::BAD_REQUEST && parameter == Some("file") {
        Verdict::permanent(PermanentKind::BadAudio, "the file cannot be read as audio")
    } else {
        Verdict::of_status(refusal.status)
    };
    for (label, word) in [("code", code.or(kind)), ("parameter", parameter)] {
        if let Some(word) = word {
            verdict.reason.push_str(&format!(", {label} {word}"));
        }
    }
    verdict
}

/// Whether a word is a code of an interface and not somebody's text.
fn is_code(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.[]".contains(c);
    !word.is_empty() && word.len() <= 64 && word.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &'static str) -> Verdict {
        let status = StatusCode::from_u16(status).unwrap();
        openai(&Refusal { status, body: Bytes::from_static(body.as_bytes()) })
    }

    #[test]
    fn codes_are_stronger_than_the_status() {
        let quota = r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
        assert_eq!(judged(429, quota).kind, Some(PermanentKind::Quota));
        assert_eq!(judged(429, r#"{"error":{"code":"credit_balance_exhausted"}}"#).kind, Some(PermanentKind::Quota));
        assert_eq!(judged(429, r#"{"error":{"code":"rate_limit_exceeded"}}"#).kind, None);
        assert_eq!(judged(400, r#"{"error":{"code":"context_length_exceeded"}}"#).kind, Some(PermanentKind::TooLarge));
        assert_eq!(judged(400, r#"{"error":{"code":"content_filter"}}"#).kind, Some(PermanentKind::ContentFilter));
        assert_eq!(judged(400, r#"{"error":{"param":"file"}}"#).kind, Some(PermanentKind::BadAudio));
    }

    #[test]
    fn any_body_leaves_the_meaning_of_the_status() {
        for body in ["", "<html>busy</html>", "[]", "\"x\"", r#"{"error":"busy"}"#, r#"{"error":{"code":7}}"#] {
            for (status, kind) in [(503, None), (500, None), (429, None), (408, None), (409, None)] {
                assert_eq!(judged(status, body).kind, kind, "{status} {body}");
            }
            assert_eq!(judged(401, body).kind, Some(PermanentKind::Credentials));
            assert_eq!(judged(302, body).kind, Some(PermanentKind::InvalidRequest));
            assert_eq!(judged(418, body).kind, Some(PermanentKind::Refused));
        }
    }

    #[test]
    fn only_codes_are_repeated() {
        let body = r#"{"error":{"message":"Incorrect API key provided: sk-abc","type":"Please Pay","param":"messages[0]","code":"invalid_api_key"}}"#;
        let reason = judged(401, body).reason;
        assert_eq!(reason, "the key is not accepted, code invalid_api_key, parameter messages[0]");
    }
}
