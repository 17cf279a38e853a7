//! The language model's text becomes answers, or a typed refusal that never repeats what the text says.

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use super::model::{Given, Quote, RawAnswer, Verdict};
use crate::product::scorecards::model::{AnswerKind, Criterion};

/// Longest rationale, in characters.
pub const MAX_RATIONALE: usize = 4_000;
/// Longest quote, in characters.
pub const MAX_QUOTE: usize = 2_000;
/// Most quotes for one criterion.
pub const MAX_QUOTES: usize = 20;
/// Longest answer in words, in characters.
pub const MAX_TEXT: usize = 4_000;

/// Why the model's text is no answer. Names criteria of the scorecard and places in the text, never its words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not JSON, cut short, or of another shape than the schema's.
    #[error("the answer does not have the schema's shape (line {line}, column {column})")]
    Shape {
        /// Where reading stopped, from 1.
        line: usize,
        /// Where reading stopped, from 1.
        column: usize,
    },
    /// The answer to one criterion is of another shape than its schema's.
    #[error("the answer to {0} does not have the schema's shape")]
    Form(String),
    /// The answer to one criterion is not of its type.
    #[error("the answer to {criterion} {what}")]
    NotOfType {
        /// The criterion.
        criterion: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Answers something that is not in the scorecard.
    #[error("the answer has {0} keys that are no criterion of the scorecard")]
    UnknownCriteria(usize),
    /// Answers a criterion twice.
    #[error("the answer has the criterion {0} twice")]
    Twice(String),
    /// Leaves a criterion out.
    #[error("the answer lacks the criterion {0}")]
    Missing(String),
    /// "Not applicable" where the scorecard does not allow it.
    #[error("the criterion {0} may not be answered as not applicable")]
    NotApplicable(String),
    /// A confidence outside of 0..=1.
    #[error("the confidence of {0} is not between 0 and 1")]
    Confidence(String),
    /// A text or a list beyond its bound.
    #[error("the {what} of {criterion} is longer than {limit}")]
    TooLong {
        /// The criterion.
        criterion: String,
        /// `rationale`, `quote`, `evidence` or `text`.
        what: &'static str,
        /// Characters, or quotes.
        limit: usize,
    },
}

impl AnswerError {
    /// A stable word for rows, metrics and API answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shape { .. } => "answer_shape",
            Self::Form(_) => "answer_form",
            Self::NotOfType { .. } => "answer_not_of_type",
            Self::UnknownCriteria(_) => "answer_unknown_criteria",
            Self::Twice(_) => "answer_criterion_twice",
            Self::Missing(_) => "answer_criterion_missing",
            Self::NotApplicable(_) => "answer_not_applicable",
            Self::Confidence(_) => "answer_confidence",
            Self::TooLong { .. } => "answer_too_long",
        }
    }
}

impl From<serde_json::Error> for AnswerError {
    fn from(error: serde_json::Error) -> Self {
        Self::Shape { line: error.line(), column: error.column() }
    }
}

/// Reads an answer: what it says to every criterion that was asked, in their order, or why that cannot be used.
///
/// # Errors
/// [`AnswerError`] of the whole text: it is no object of criteria that were asked, each at most once.
pub fn read(text: &str, asked: &[&Criterion]) -> Result<Vec<Result<RawAnswer, AnswerError>>, AnswerError> {
    let Pairs(pairs) = serde_json::from_str(text)?;
    let known: HashMap<&str, usize> = asked.iter().map(|criterion| criterion.key.as_str()).zip(0..).collect();
    let mut found: Vec<Option<Value>> = known.iter().map(|_| None).collect();
    let mut unknown = 0;
    for (key, said) in pairs {
        match known.get(key.as_str()) {
            None => unknown += 1,
            Some(&at) if found[at].is_some() => return Err(AnswerError::Twice(key)),
            Some(&at) => found[at] = Some(said),
        }
    }
    if unknown > 0 {
        return Err(AnswerError::UnknownCriteria(unknown));
    }
    let answers = asked.iter().zip(found).map(|(criterion, said)| {
        let said = said.ok_or_else(|| AnswerError::Missing(criterion.key.clone()))?;
        let said: Said = serde_json::from_value(said).map_err(|_| AnswerError::Form(criterion.key.clone()))?;
        said.checked(criterion)
    });
    Ok(answers.collect())
}

/// One text of two: of `repaired` what it has of these criteria, of `first` everything else. `None` when either is no object.
pub fn merged(first: &str, repaired: &str, criteria: &[&str]) -> Option<String> {
    let mut one: serde_json::Map<String, Value> = serde_json::from_str(first).ok()?;
    let mut other: serde_json::Map<String, Value> = serde_json::from_str(repaired).ok()?;
    for key in criteria {
        if let Some(said) = other.remove(*key) {
            one.insert((*key).to_owned(), said);
        }
    }
    Some(Value::Object(one).to_string())
}

/// The object's members in order; a plain map would hide a key that comes twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object keyed by criterion")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    verdict: Word,
    choice: Option<String>,
    choices: Option<Vec<String>>,
    number: Option<i64>,
    text: Option<String>,
    confidence: f64,
    rationale: String,
    evidence: Vec<SaidEvidence>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Yes,
    No,
    Answered,
    NotApplicable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidEvidence {
    utterance: i64,
    quote: String,
}

impl Said {
    fn checked(mut self, criterion: &Criterion) -> Result<RawAnswer, AnswerError> {
        let key = &criterion.key;
        if !(0.0..=1.0).contains(&self.confidence) {
            return Err(AnswerError::Confidence(key.clone()));
        }
        let bounded = |what, length: usize, limit| match length > limit {
            true => Err(AnswerError::TooLong { criterion: key.clone(), what, limit }),
            false => Ok(()),
        };
        bounded("rationale", self.rationale.chars().count(), MAX_RATIONALE)?;
        bounded("evidence", self.evidence.len(), MAX_QUOTES)?;
        bounded("text", self.text.as_ref().map_or(0, |text| text.chars().count()), MAX_TEXT)?;
        for evidence in &self.evidence {
            bounded("quote", evidence.quote.chars().count(), MAX_QUOTE)?;
        }
        let given = self.given(criterion)?;
        let said = match self.verdict {
            Word::NotApplicable if !criterion.not_applicable => return Err(AnswerError::NotApplicable(key.clone())),
            Word::NotApplicable => Verdict::NotApplicable,
            Word::Yes => Verdict::Yes,
            Word::No => Verdict::No,
            Word::Answered => Verdict::Answered,
        };
        let judged = criterion.answer.judge(said, &given);
        let judged = judged.map_err(|what| AnswerError::NotOfType { criterion: key.clone(), what })?;
        Ok(RawAnswer {
            criterion: key.clone(),
            verdict: judged.verdict,
            given,
            // Within 0..=10000 by the check above, so that the cast loses nothing but the fraction.
            confidence: (self.confidence * 10_000.0).round() as u32,
            rationale: storable(self.rationale),
            quotes: self
                .evidence
                .into_iter()
                .map(|e| Quote { utterance: e.utterance, quote: storable(e.quote) })
                .collect(),
        })
    }

    /// What is answered besides the verdict: what its type has, and nothing of another type.
    fn given(&mut self, criterion: &Criterion) -> Result<Given, AnswerError> {
        let (choice, choices) = (self.choice.take(), self.choices.take());
        let (number, text) = (self.number.take(), self.text.take());
        let kind = criterion.answer.kind;
        let foreign = (choice.is_some() && kind != AnswerKind::SingleChoice)
            || (choices.is_some() && kind != AnswerKind::MultipleChoice)
            || (number.is_some() && kind != AnswerKind::Number)
            || (text.is_some() && kind != AnswerKind::Text)
            || ((self.verdict == Word::Answered) == (kind == AnswerKind::YesNo) && self.verdict != Word::NotApplicable);
        if foreign || (kind == AnswerKind::MultipleChoice && choices.is_none()) {
            return Err(AnswerError::Form(criterion.key.clone()));
        }
        if self.verdict == Word::NotApplicable {
            return Ok(Given::default());
        }
        let choices = choice.into_iter().chain(choices.into_iter().flatten()).collect();
        Ok(Given { choices, number, text: text.map(storable) })
    }
}

/// JSON may carry U+0000, which PostgreSQL's text cannot.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::product::evaluations::samples::{definition, every_type};

    fn answer(verdict: &str) -> Value {
        json!({"verdict": verdict, "confidence": 0.875, "rationale": "Because.", "evidence": [{"utterance": 1, "quote": "Good morning"}]})
    }

    /// `greeting` and `recap` (which may be not applicable), as the sample scorecard has them.
    fn document() -> Value {
        json!({"recap": answer("not_applicable"), "greeting": answer("yes"), "no_insult": answer("no")})
    }

    fn parse(text: &str, asked: &[&Criterion]) -> Result<Vec<RawAnswer>, AnswerError> {
        read(text, asked)?.into_iter().collect()
    }

    fn parsed(text: &str) -> Result<Vec<RawAnswer>, AnswerError> {
        parse(text, &definition().criteria().collect::<Vec<_>>())
    }

    fn refused(change: impl FnOnce(&mut Value)) -> AnswerError {
        let mut changed = document();
        change(&mut changed);
        parsed(&changed.to_string()).unwrap_err()
    }

    #[test]
    fn a_good_answer_comes_in_the_scorecards_order() {
        let answers = parsed(&document().to_string()).unwrap();
        let seen: Vec<_> = answers.iter().map(|a| (a.criterion.as_str(), a.verdict, a.confidence)).collect();
        assert_eq!(
            seen,
            [
                ("greeting", Verdict::Yes, 8_750),
                ("recap", Verdict::NotApplicable, 8_750),
                ("no_insult", Verdict::No, 8_750)
            ]
        );
        assert_eq!(answers[0].quotes, [Quote { utterance: 1, quote: "Good morning".into() }]);
    }

    #[test]
    fn what_is_missing_twice_or_unknown_is_refused() {
        assert_eq!(refused(|d| drop(d.as_object_mut().unwrap().remove("recap"))), AnswerError::Missing("recap".into()));
        assert_eq!(refused(|d| d["secret words"] = answer("yes")), AnswerError::UnknownCriteria(1));
        let twice = format!(r#"{{"greeting":{a},"greeting":{a},"recap":{a},"no_insult":{a}}}"#, a = answer("yes"));
        assert_eq!(parsed(&twice).unwrap_err(), AnswerError::Twice("greeting".into()));
    }

    #[test]
    fn verdicts_and_confidence_are_held_to_their_ranges() {
        assert_eq!(
            refused(|d| d["greeting"] = answer("not_applicable")),
            AnswerError::NotApplicable("greeting".into())
        );
        for confidence in [-0.01, 1.01, 1e300] {
            assert_eq!(
                refused(|d| d["recap"]["confidence"] = json!(confidence)),
                AnswerError::Confidence("recap".into())
            );
        }
        let form = AnswerError::Form("greeting".into());
        assert_eq!(refused(|d| d["greeting"] = answer("unverified")), form);
        assert_eq!(refused(|d| d["greeting"] = answer("answered")), form, "yes or no is asked");
        assert_eq!(refused(|d| d["greeting"]["confidence"] = json!(null)), form);
        assert_eq!(refused(|d| d["greeting"]["more"] = json!(1)), form);
        assert_eq!(refused(|d| d["greeting"]["number"] = json!(1)), form, "of another type");
        assert_eq!(refused(|d| d["greeting"]["evidence"][0]["utterance"] = json!(1.5)), form);
    }

    fn typed(member: &str, value: Value) -> Value {
        json!({"verdict": "answered", "confidence": 0.5, "rationale": "r", "evidence": [], member: value})
    }

    fn of_every_type() -> Value {
        json!({"polite": answer("yes"), "tone": typed("choice", json!("cold")), "topics": typed("choices", json!(["line", "bill"])),
               "offers": typed("number", json!(3)), "summary": typed("text", json!("All went well."))})
    }

    #[test]
    fn every_type_is_read_and_judged() {
        let definition = every_type();
        let asked: Vec<_> = definition.criteria().collect();
        let read = parse(&of_every_type().to_string(), &asked).unwrap();
        let verdicts: Vec<_> = read.iter().map(|answer| answer.verdict).collect();
        assert_eq!(verdicts, [Verdict::Yes, Verdict::No, Verdict::Yes, Verdict::Yes, Verdict::Answered]);
        assert_eq!(read[2].given.choices, ["line", "bill"]);
        assert_eq!((read[3].given.number, read[4].given.text.as_deref()), (Some(3), Some("All went well.")));
        let mut not_applicable = of_every_type();
        not_applicable["offers"] = typed("number", Value::Null);
        not_applicable["offers"]["verdict"] = json!("not_applicable");
        assert_eq!(parse(&not_applicable.to_string(), &asked).unwrap()[3].verdict, Verdict::NotApplicable);
    }

    #[test]
    fn what_is_not_of_its_type_is_refused_alone() {
        let definition = every_type();
        let asked: Vec<_> = definition.criteria().collect();
        for (key, member, value, code) in [
            ("tone", "choice", json!("lukewarm"), "answer_not_of_type"),
            ("tone", "choice", Value::Null, "answer_not_of_type"),
            ("tone", "choices", json!(["warm"]), "answer_form"),
            ("topics", "choices", json!(["bill", "bill"]), "answer_not_of_type"),
            ("topics", "choice", json!("bill"), "answer_form"),
            ("offers", "number", json!(1.5), "answer_form"),
            ("offers", "number", json!("3"), "answer_form"),
            ("summary", "text", Value::Null, "answer_not_of_type"),
            ("summary", "text", json!("x".repeat(4_001)), "answer_too_long"),
        ] {
            let mut changed = of_every_type();
            changed[key] = typed(member, value);
            let read = read(&changed.to_string(), &asked).unwrap();
            let codes: Vec<_> = read.iter().filter_map(|answer| answer.as_ref().err()).map(AnswerError::code).collect();
            assert_eq!(codes, [code], "{key} {member}");
        }
    }

    #[test]
    fn a_repaired_text_takes_the_place_of_what_was_unusable() {
        let one = merged(r#"{"a": 1, "b": 2}"#, r#"{"a": 8, "b": 9, "c": 7}"#, &["b", "d"]).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), json!({"a": 1, "b": 9}));
        assert_eq!(merged("[]", "{}", &[]), None);
    }

    #[test]
    fn lengths_are_bounded() {
        let limit = |error| match error {
            AnswerError::TooLong { what, limit, .. } => (what, limit),
            other => panic!("{other}"),
        };
        assert_eq!(limit(refused(|d| d["recap"]["rationale"] = json!("é".repeat(4_001)))), ("rationale", 4_000));
        assert_eq!(limit(refused(|d| d["recap"]["evidence"][0]["quote"] = json!("q".repeat(2_001)))), ("quote", 2_000));
        let many = vec![json!({"utterance": 1, "quote": "q"}); 21];
        assert_eq!(limit(refused(|d| d["recap"]["evidence"] = json!(many))), ("evidence", 20));
    }

    #[test]
    fn errors_never_repeat_the_content() {
        for text in [
            "{\"card 4111\": 1}",
            "\"card 4111\"",
            "{\"greeting\": {\"card 4111\": 1}}",
            "card 4111",
            "{\"greeting\": {\"verdict\": \"card 4111\"}}",
            "",
        ] {
            let error = parsed(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("4111"), "{error:?}");
        }
        let error = refused(|d| d["card 4111"] = answer("yes"));
        assert!(!format!("{error} {error:?}").contains("4111"), "{error:?}");
    }

    proptest! {
        #[test]
        fn a_cut_answer_is_refused(cut in 1usize..400) {
            let text = document().to_string();
            prop_assume!(cut < text.len());
            let refused = matches!(parsed(&text[..text.len() - cut]), Err(AnswerError::Shape { .. }));
            prop_assert!(refused);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = parsed(&text);
        }
    }
}
