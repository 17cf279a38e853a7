//! Definitions as YAML, for people who keep scorecards in files. What can be said is exactly what JSON says: YAML is read as a JSON document
//! first. No I/O.

use poem_openapi::types::ParseFromJSON;
use serde_json::Value;

use super::Definition;

/// Bytes of the largest document that is read, YAML or JSON.
pub const MAX_BYTES: usize = 1_024 * 1_024;
/// Most nodes of a document: far above the largest scorecard.
const MAX_NODES: usize = 200_000;
/// How deep a document is; rules four groups deep lie about twenty levels down.
const MAX_DEPTH: usize = 64;

/// Why a text is no definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is too long.
    #[error("the document has {0} bytes; at most {MAX_BYTES} are read")]
    TooLong(usize),
    /// It is neither YAML nor JSON, holds aliases, or is too deep.
    #[error("the document cannot be read{}", place(.0))]
    Syntax(Option<(u64, u64)>),
    /// Its fields are not those of a definition.
    #[error("{0}")]
    Shape(String),
}

fn place(place: &Option<(u64, u64)>) -> String {
    place.map_or(String::new(), |(line, column)| format!(" (line {line}, column {column})"))
}

/// Reads a definition. Anchors and aliases are refused, because a short text may stand for an endless one; so are a second document in the
/// same text, a key twice, and anything deeper or larger than a scorecard can be.
///
/// # Errors
/// [`Unreadable`].
pub fn from_yaml(text: &str) -> Result<Definition, Unreadable> {
    if text.len() > MAX_BYTES {
        return Err(Unreadable::TooLong(text.len()));
    }
    let options = serde_saphyr::options! {
        strict_booleans: true, // `yes` and `no` are words: they name answers
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_documents: 1,
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
        },
    };
    let document: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|place| (place.line(), place.column()));
        Unreadable::Syntax(place)
    })?;
    from_document(document)
}

/// Reads a definition from a JSON document.
///
/// # Errors
/// [`Unreadable::Shape`].
pub fn from_document(document: Value) -> Result<Definition, Unreadable> {
    Definition::parse_from_json(Some(document)).map_err(|error| Unreadable::Shape(error.message().to_owned()))
}

/// Writes a definition so that [`from_yaml`] reads the same.
///
/// # Errors
/// [`serde_saphyr::ser::Error`], which no definition causes.
pub fn to_yaml(definition: &Definition) -> Result<String, serde_saphyr::ser::Error> {
    // By way of JSON, so that enums are written as they are read.
    let document = serde_json::to_value(definition).unwrap_or_default();
    serde_saphyr::to_string(&document)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "
name: S
sections:
  - key: a
    name: A
    criteria:
      - {key: b, question: B?}
      - key: c
        question: C?
        answered_by: rule
        shown_when: {criterion: b, answered: [yes, no]}
        rule:
          yes_when:
            phrase: {any_of: [good morning]}
";

    #[test]
    fn yes_and_no_are_words_and_rules_are_read_as_in_json() {
        let definition = from_yaml(SMALL).unwrap();
        assert_eq!(definition.validate(), Ok(()));
        let second = &definition.sections[0].criteria[1];
        assert_eq!(second.shown_when.as_ref().unwrap().answered, ["yes", "no"]);
        let written = to_yaml(&definition).unwrap();
        assert_eq!(from_yaml(&written), Ok(definition.clone()), "{written}");
        let json = serde_json::to_string(&definition).unwrap();
        assert_eq!(from_yaml(&json), Ok(definition), "JSON is YAML too");
    }

    #[test]
    fn texts_that_look_like_something_else_come_back_as_texts() {
        for text in [
            "yes",
            "no",
            "null",
            "~",
            "1",
            "1e3",
            "0x10",
            "- a",
            "a: b",
            "#x",
            "'",
            "\"",
            "on",
            "true",
            "é\nb\n",
            " a ",
            "<<",
            "*a",
            "&a",
            "2026-11-23",
            "x: |",
        ] {
            let mut definition = from_yaml(SMALL).unwrap();
            definition.description = text.to_owned();
            let written = to_yaml(&definition).unwrap();
            assert_eq!(from_yaml(&written), Ok(definition), "{text:?} as {written}");
        }
    }

    #[test]
    fn what_is_no_definition_is_refused_with_its_place() {
        let syntax = |text: &str| match from_yaml(text) {
            Err(Unreadable::Syntax(place)) => place.is_some(),
            other => panic!("{text:?} gave {other:?}"),
        };
        assert!(syntax("name: [a\n"));
        assert!(syntax("name: a\nname: b\nsections: []\n"), "a key twice");
        syntax("name: a\nsections: []\n---\nname: b\nsections: []\n");
        syntax(&"[".repeat(10_000));
        let deep = format!("name: {}", "[".repeat(100) + &"]".repeat(100));
        syntax(&deep);
        let shape = |text: &str| match from_yaml(text) {
            Err(Unreadable::Shape(why)) => why,
            other => panic!("{text:?} gave {other:?}"),
        };
        shape("just words");
        shape("");
        assert!(shape("name: S\nsections: []\ncolour: red\n").contains("colour"));
        let two =
            SMALL.replace("any_of: [good morning]}", "any_of: [a]}\n            metric: {metric: words, at_most: 1}");
        assert!(shape(&two).contains("exactly one of"), "{}", shape(&two));
        assert!(matches!(from_yaml(&"a".repeat(MAX_BYTES + 1)), Err(Unreadable::TooLong(_))));
    }

    /// A billion laughs, and smaller jokes: no alias is followed.
    #[test]
    fn aliases_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..10 {
            let list = vec![format!("*a{}", n - 1); 9].join(", ");
            bomb.push_str(&format!("a{n}: &a{n} [{list}]\n"));
        }
        let began = std::time::Instant::now();
        assert!(matches!(from_yaml(&bomb), Err(Unreadable::Syntax(_))));
        let one = "name: &n S\ndescription: *n\nsections: []\n";
        assert!(matches!(from_yaml(one), Err(Unreadable::Syntax(_))));
        assert!(began.elapsed() < std::time::Duration::from_secs(5));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = from_yaml(&text);
        }
    }
}
