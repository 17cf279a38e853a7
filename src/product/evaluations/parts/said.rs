//! What the language model said, as it is kept: one object by criterion where it was asked about the whole conversation, and a list of the
//! answers of all parts where it was asked about parts. No text of the model alone is ever a list: one that is breaks the schema.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Span;

/// The answer about one part of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The part; none is the whole conversation.
    pub utterances: Option<Span>,
    /// What was said, by criterion: null where the model left one out.
    pub answers: Map<String, Value>,
}

/// An answer about a part, as it is read.
pub struct PartAnswer<'a> {
    /// The part; none is the whole conversation.
    pub span: Option<Span>,
    /// One object by criterion.
    pub text: Cow<'a, str>,
    /// The criteria that were asked there; none is all.
    keys: Option<Vec<String>>,
}

impl PartAnswer<'_> {
    /// Whether the criterion was asked there.
    pub fn has(&self, criterion: &str) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.iter().any(|key| key == criterion))
    }
}

/// Whether a text is of parts.
pub fn is_parted(text: &str) -> bool {
    text.trim_start().starts_with('[')
}

/// The answers of a text. A text that is not of parts is one answer, as it stands.
///
/// # Errors
/// Where a list is not one of parts. One without any has no answers.
pub fn read(text: &str) -> Result<Vec<PartAnswer<'_>>, serde_json::Error> {
    if !is_parted(text) {
        return Ok(vec![PartAnswer { span: None, text: Cow::Borrowed(text), keys: None }]);
    }
    let parts: Vec<Said> = serde_json::from_str(text)?;
    let part = |said: Said| PartAnswer {
        span: said.utterances,
        keys: Some(said.answers.keys().cloned().collect()),
        text: Cow::Owned(Value::Object(said.answers).to_string()),
    };
    Ok(parts.into_iter().map(part).collect())
}

/// The same by criterion; `None` when it is neither an object nor a list of parts.
pub fn members(text: &str) -> Option<Vec<Said>> {
    if is_parted(text) {
        return serde_json::from_str(text).ok().filter(|parts: &Vec<Said>| !parts.is_empty());
    }
    Some(vec![Said { utterances: None, answers: serde_json::from_str(text).ok()? }])
}

/// One text of the answers to these criteria about these parts. `None` when one of them is no object.
pub fn of_parts(spans: &[Span], texts: &[String], asked: &[&str]) -> Option<String> {
    let part = |(span, text): (&Span, &String)| {
        let mut answers: Map<String, Value> = serde_json::from_str(text).ok()?;
        for key in asked.iter().filter(|key| !answers.contains_key(**key)).copied().collect::<Vec<_>>() {
            answers.insert(key.to_owned(), Value::Null);
        }
        Some(Said { utterances: Some(*span), answers })
    };
    let parts: Option<Vec<Said>> = spans.iter().zip(texts).map(part).collect();
    Some(text(parts?))
}

/// The answers as they are kept: an object when all are about the whole conversation.
pub fn text(mut parts: Vec<Said>) -> String {
    parts.retain(|part| !part.answers.is_empty());
    if parts.iter().all(|part| part.utterances.is_none()) {
        let whole: Map<String, Value> = parts.into_iter().flat_map(|part| part.answers).collect();
        return Value::Object(whole).to_string();
    }
    let parts = parts.into_iter().map(|part| {
        let span = part.utterances.map(|span| serde_json::json!({ "first": span.first, "last": span.last }));
        serde_json::json!({ "utterances": span, "answers": part.answers })
    });
    Value::Array(parts.collect()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_said_of_parts_is_read_as_it_was_kept() {
        let spans = [Span { first: 1, last: 4 }, Span { first: 4, last: 9 }];
        let texts = [r#"{"a": 1, "b": 2}"#.to_owned(), r#"{"a": 3}"#.to_owned()];
        let kept = of_parts(&spans, &texts, &["a", "b"]).unwrap();
        let read = read(&kept).unwrap();
        assert_eq!(read.iter().map(|part| part.span).collect::<Vec<_>>(), spans.map(Some));
        assert_eq!(read[1].text, r#"{"a":3,"b":null}"#, "what was left out is known to be left out");
        assert!(read[1].has("b") && !read[1].has("c"));
        assert_eq!(of_parts(&spans, &["[]".to_owned(), "{}".to_owned()], &[]), None);
        assert_eq!(text(members(&kept).unwrap()), kept);
    }

    #[test]
    fn what_was_said_of_the_whole_stays_as_it_is() {
        let twice = r#"{"a": 1, "a": 2}"#;
        assert_eq!(read(twice).unwrap()[0].text, twice, "what is wrong with it is for the reader to find");
        assert_eq!(text(members(r#"{"a": 1}"#).unwrap()), r#"{"a":1}"#);
        assert_eq!(text(vec![]), "{}");
        assert!(
            read(r#"[{"a": 1}]"#).is_err()
                && members("[1]").is_none()
                && members("[]").is_none()
                && members("1").is_none()
        );
        let forged = json!([{"utterances": null, "answers": {"a": 1}, "more": 1}]).to_string();
        assert!(read(&forged).is_err());
    }
}
