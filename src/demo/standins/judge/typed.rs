//! Answers that are not yes or no: choices by the phrase rules of their own guidance, numbers by counting, words by quoting.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Criterion, Evidence, Judgement, Verdict,
    guidance::{Guidance, Rule},
    matching::{Heard, Speaker},
};

/// How a criterion is answered, as the prompt tells it.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Form {
    /// Yes or no.
    YesNo,
    /// One of these.
    Choice {
        /// What can be chosen.
        choices: Vec<Choice>,
    },
    /// Any of these.
    Choices {
        /// What can be chosen.
        choices: Vec<Choice>,
    },
    /// A whole number.
    Number,
    /// A few sentences.
    Text,
}

/// Something that can be chosen.
#[derive(Debug, Deserialize)]
pub struct Choice {
    /// What the answer names it by.
    pub key: String,
    /// What people read; its words judge when the guidance has no rule.
    pub label: String,
    /// When to choose it.
    #[serde(default)]
    pub guidance: String,
}

/// A judgement with what is answered besides the verdict.
#[derive(Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The verdict, its reason and its quotes.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// `choice`, `choices`, `number` or `text`.
    #[serde(flatten)]
    pub given: Map<String, Value>,
}

impl From<Judgement> for Judged {
    fn from(judgement: Judgement) -> Self {
        Self { judgement, given: Map::new() }
    }
}

impl Criterion {
    /// The answer of the criterion's own type.
    pub fn answer(&self, transcript: &[Heard<'_>]) -> Judged {
        let Some(form) = &self.answer else { return self.judge(transcript).into() };
        if self.not_applicable_allowed && !matches!(form, Form::YesNo) {
            let judgement = self.judge(transcript);
            if judgement.verdict == Verdict::NotApplicable {
                return Judged { judgement, given: nothing(form) };
            }
        }
        let (given, judgement) = match form {
            Form::YesNo => return self.judge(transcript).into(),
            Form::Choice { choices } => choice(choices, transcript),
            Form::Choices { choices } => any_choice(choices, transcript),
            Form::Number => self.number(transcript),
            Form::Text => text(transcript),
        };
        Judged { judgement: Judgement { verdict: Verdict::Answered, ..judgement }, given }
    }

    /// How many utterances fulfil a "Yes" sentence of the guidance.
    fn number(&self, transcript: &[Heard<'_>]) -> (Map<String, Value>, Judgement) {
        let guidance = Guidance::read(self.guidance.as_deref().unwrap_or_default());
        let says = |rule: &Rule, heard: &Heard<'_>| {
            rule.verdict == Verdict::Yes
                && !rule.unless
                && rule.who.is_none_or(|who| who == heard.speaker)
                && rule.phrases.iter().any(|phrase| heard.find(phrase, rule.asks).is_some())
        };
        let counted: Vec<&Heard<'_>> =
            transcript.iter().filter(|heard| guidance.rules.iter().any(|rule| says(rule, heard))).collect();
        let judgement = Judgement {
            verdict: Verdict::Answered,
            confidence: 0.9,
            rationale: format!("{} utterances fulfil a sentence of the guidance.", counted.len()),
            evidence: counted.iter().take(3).map(|heard| whole(heard)).collect(),
        };
        (one("number", json!(counted.len())), judgement)
    }
}

/// The first choice that its guidance proves by words, else the first that it allows, else the last.
fn choice(choices: &[Choice], transcript: &[Heard<'_>]) -> (Map<String, Value>, Judgement) {
    let mut fitting = fitting(choices, transcript);
    let proved = fitting.iter().position(|(_, judgement)| !judgement.evidence.is_empty()).unwrap_or(0);
    let (key, judgement) = if proved < fitting.len() {
        fitting.swap_remove(proved)
    } else {
        let last = choices.last().map_or("", |choice| choice.key.as_str());
        (last, found_nothing("No rule of a choice fired, so the last one is taken."))
    };
    (one("choice", json!(key)), judgement)
}

/// Every choice that its guidance allows.
fn any_choice(choices: &[Choice], transcript: &[Heard<'_>]) -> (Map<String, Value>, Judgement) {
    let fitting = fitting(choices, transcript);
    let keys: Vec<&str> = fitting.iter().map(|(key, _)| *key).collect();
    let given = one("choices", json!(keys));
    let judgements = fitting.into_iter().map(|(_, judgement)| judgement);
    let all = judgements.reduce(|mut all, next| {
        all.rationale = format!("{} {}", all.rationale, next.rationale);
        all.confidence = all.confidence.min(next.confidence);
        all.evidence.extend(next.evidence);
        all
    });
    (given, all.unwrap_or_else(|| found_nothing("No rule of a choice fired.")))
}

/// The choices whose guidance says yes, in their order.
fn fitting<'c>(choices: &'c [Choice], transcript: &[Heard<'_>]) -> Vec<(&'c str, Judgement)> {
    let judged = choices.iter().map(|choice| {
        let asked = Criterion {
            key: choice.key.clone(),
            question: choice.label.clone(),
            guidance: Some(choice.guidance.clone()),
            not_applicable_allowed: false,
            answer: None,
        };
        (choice.key.as_str(), asked.judge(transcript))
    });
    judged.filter(|(_, judgement)| judgement.verdict == Verdict::Yes).collect()
}

/// What the customer said first, in the customer's words.
fn text(transcript: &[Heard<'_>]) -> (Map<String, Value>, Judgement) {
    let first = transcript.iter().find(|heard| heard.speaker == Speaker::Customer).or(transcript.first());
    let evidence: Vec<Evidence> = first.map(whole).into_iter().collect();
    let text = evidence
        .first()
        .map_or_else(|| "Nobody said anything.".to_owned(), |quote| format!("The customer said: {}", quote.quote));
    let rationale = "The stand-in cannot summarise: it repeats what the customer said first.".to_owned();
    (one("text", json!(text)), Judgement { verdict: Verdict::Answered, confidence: 0.9, rationale, evidence })
}

fn whole(heard: &Heard<'_>) -> Evidence {
    Evidence { utterance: heard.number, quote: super::whole_or_first_words(heard) }
}

fn found_nothing(why: &str) -> Judgement {
    Judgement { verdict: Verdict::Answered, confidence: 0.7, rationale: why.to_owned(), evidence: vec![] }
}

fn nothing(form: &Form) -> Map<String, Value> {
    match form {
        Form::YesNo => Map::new(),
        Form::Choice { .. } => one("choice", Value::Null),
        Form::Choices { .. } => one("choices", json!([])),
        Form::Number => one("number", Value::Null),
        Form::Text => one("text", Value::Null),
    }
}

fn one(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answer: Value, guidance: &str, said: &[(&str, &str)]) -> Value {
        let criterion: Criterion = serde_json::from_value(json!({"key": "k", "question": "Q?", "guidance": guidance,
            "not_applicable_allowed": true, "answer": answer}))
        .unwrap();
        let heard: Vec<_> =
            said.iter().zip(1..).map(|((who, text), n)| Heard::new(n, Speaker::of_word(who), text)).collect();
        serde_json::to_value(criterion.answer(&heard)).unwrap()
    }

    const CALL: [(&str, &str); 3] = [
        ("agent", "Good morning, how can I help?"),
        ("customer", "My bill is too high."),
        ("agent", "I am sorry, I will check the bill."),
    ];

    #[test]
    fn choices_follow_their_own_guidance() {
        let choice = |key: &str, guidance: &str| json!({"key": key, "label": key, "guidance": guidance});
        let choices = json!([
            choice("none", "Otherwise yes."),
            choice("sorry", r#"Yes if the agent says "sorry"."#),
            choice("bill", r#"Yes if anyone says "bill"."#),
            choice("line", r#"Yes if anyone says "line"."#)
        ]);
        let single = answered(json!({"type": "choice", "choices": choices}), "", &CALL);
        assert_eq!((&single["verdict"], &single["choice"]), (&json!("answered"), &json!("sorry")));
        assert_eq!(single["evidence"][0]["utterance"], 3);
        let silent = answered(json!({"type": "choice", "choices": choices}), "", &CALL[..1]);
        assert_eq!(silent["choice"], "none");
        let many = answered(json!({"type": "choices", "choices": choices}), "", &CALL);
        assert_eq!(many["choices"], json!(["none", "sorry", "bill"]));
        let not_applicable = answered(
            json!({"type": "choice", "choices": choices}),
            r#"Not applicable unless the customer says "refund"."#,
            &CALL,
        );
        assert_eq!((&not_applicable["verdict"], &not_applicable["choice"]), (&json!("not_applicable"), &Value::Null));
    }

    #[test]
    fn numbers_are_counted_and_words_are_quoted() {
        let number = answered(json!({"type": "number", "unit": ""}), r#"Yes if anyone says "bill"."#, &CALL);
        assert_eq!((&number["number"], number["evidence"].as_array().unwrap().len()), (&json!(2), 2));
        let text = answered(json!({"type": "text"}), "", &CALL);
        assert_eq!(text["text"], "The customer said: My bill is too high.");
    }
}
