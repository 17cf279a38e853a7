//! The language model's text becomes answers, or a typed refusal that never repeats what the text says.

use std::{collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::model::{Given, Quote, RawAnswer, Verdict};
use crate::platform::plugins::Scorecard;

/// Longest rationale, in characters.
pub const MAX_RATIONALE: usize = 4_000;
/// Longest quote, in characters.
pub const MAX_QUOTE: usize = 2_000;
/// Most quotes for one criterion.
pub const MAX_QUOTES: usize = 20;

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
        /// `rationale`, `quote` or `evidence`.
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
            Self::UnknownCriteria(_) => "answer_unknown_criteria",
            Self::Twice(_) => "answer_criterion_twice",
            Self::Missing(_) => "answer_criterion_missing",
            Self::NotApplicable(_) => "answer_not_applicable",
            Self::Confidence(_) => "answer_confidence",
            Self::TooLong { .. } => "answer_too_long",
        }
    }
}

/// Reads an answer: every criterion of the scorecard exactly once, in the scorecard's order.
///
/// # Errors
/// [`AnswerError`], at the first thing that is not as the schema demands.
pub fn parse(text: &str, scorecard: &Scorecard) -> Result<Vec<RawAnswer>, AnswerError> {
    let shape = |error: serde_json::Error| AnswerError::Shape { line: error.line(), column: error.column() };
    let Pairs(pairs) = serde_json::from_str(text).map_err(shape)?;
    let known: HashMap<&str, usize> = scorecard.criteria().map(|c| c.key.as_str()).zip(0..).collect();
    let mut found: Vec<Option<Said>> = known.iter().map(|_| None).collect();
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
    let answers = scorecard.criteria().zip(found).map(|(criterion, said)| {
        let said = said.ok_or_else(|| AnswerError::Missing(criterion.key.clone()))?;
        said.checked(&criterion.key, criterion.not_applicable)
    });
    answers.collect()
}

/// The object's members in order; a plain map would hide a key that comes twice.
struct Pairs(Vec<(String, Said)>);

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
    confidence: f64,
    rationale: String,
    evidence: Vec<SaidEvidence>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Yes,
    No,
    NotApplicable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidEvidence {
    utterance: i64,
    quote: String,
}

impl Said {
    fn checked(self, criterion: &str, not_applicable: bool) -> Result<RawAnswer, AnswerError> {
        let verdict = match self.verdict {
            Word::Yes => Verdict::Yes,
            Word::No => Verdict::No,
            Word::NotApplicable if not_applicable => Verdict::NotApplicable,
            Word::NotApplicable => return Err(AnswerError::NotApplicable(criterion.to_owned())),
        };
        if !(0.0..=1.0).contains(&self.confidence) {
            return Err(AnswerError::Confidence(criterion.to_owned()));
        }
        let bounded = |what, length: usize, limit| match length > limit {
            true => Err(AnswerError::TooLong { criterion: criterion.to_owned(), what, limit }),
            false => Ok(()),
        };
        bounded("rationale", self.rationale.chars().count(), MAX_RATIONALE)?;
        bounded("evidence", self.evidence.len(), MAX_QUOTES)?;
        for evidence in &self.evidence {
            bounded("quote", evidence.quote.chars().count(), MAX_QUOTE)?;
        }
        Ok(RawAnswer {
            criterion: criterion.to_owned(),
            verdict,
            given: Given::default(),
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
    use crate::product::evaluations::samples::scorecard;

    fn answer(verdict: &str) -> Value {
        json!({"verdict": verdict, "confidence": 0.875, "rationale": "Because.", "evidence": [{"utterance": 1, "quote": "Good morning"}]})
    }

    /// `greeting` and `recap` (which may be not applicable), as the sample scorecard has them.
    fn document() -> Value {
        json!({"recap": answer("not_applicable"), "greeting": answer("yes"), "no_insult": answer("no")})
    }

    fn refused(change: impl FnOnce(&mut Value)) -> AnswerError {
        let mut changed = document();
        change(&mut changed);
        parse(&changed.to_string(), &scorecard()).unwrap_err()
    }

    #[test]
    fn a_good_answer_comes_in_the_scorecards_order() {
        let answers = parse(&document().to_string(), &scorecard()).unwrap();
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
        assert_eq!(parse(&twice, &scorecard()).unwrap_err(), AnswerError::Twice("greeting".into()));
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
        assert!(matches!(refused(|d| d["greeting"] = answer("unverified")), AnswerError::Shape { .. }));
        assert!(matches!(refused(|d| d["greeting"]["confidence"] = json!(null)), AnswerError::Shape { .. }));
        assert!(matches!(refused(|d| d["greeting"]["more"] = json!(1)), AnswerError::Shape { .. }));
        assert!(matches!(
            refused(|d| d["greeting"]["evidence"][0]["utterance"] = json!(1.5)),
            AnswerError::Shape { .. }
        ));
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
            let error = parse(text, &scorecard()).unwrap_err();
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
            let refused = matches!(parse(&text[..text.len() - cut], &scorecard()), Err(AnswerError::Shape { .. }));
            prop_assert!(refused);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = parse(&text, &scorecard());
        }
    }
}
