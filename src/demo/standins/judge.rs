//! The language-model stand-in's judgement: transparent phrase rules over the prompt's criteria and transcript.
//!
//! Pure: text in, verdicts out. Rules come from the criteria alone, so nothing that a caller says can change one.

pub mod guidance;
pub mod matching;
pub mod typed;
pub mod vague;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use self::{
    guidance::{Guidance, Rule, Window},
    matching::{Heard, Span, Speaker, normal_words},
    typed::{Form, Judged},
};

/// The prompt's user message: one JSON document.
#[derive(Debug, Deserialize)]
pub struct Prompt {
    /// What is asked, in the scorecard's order.
    pub criteria: Vec<Criterion>,
    /// What was said, in its order.
    pub transcript: Vec<Utterance>,
}

/// A criterion as the prompt asks it.
#[derive(Debug, Deserialize)]
pub struct Criterion {
    /// The criterion's name in the scorecard and in the answer.
    pub key: String,
    /// What is asked; its words judge when the guidance has no rule.
    #[serde(default)]
    pub question: String,
    /// The rules of the criterion, in English.
    pub guidance: Option<String>,
    /// Whether the answer may be that the criterion does not apply.
    #[serde(default)]
    pub not_applicable_allowed: bool,
    /// How it is answered; by yes or no if nothing is said.
    #[serde(default)]
    pub answer: Option<Form>,
}

/// An utterance as the prompt shows it.
#[derive(Debug, Deserialize)]
pub struct Utterance {
    /// Its number, from 1.
    pub n: u64,
    /// `agent`, `customer`, `system` or `unknown`.
    #[serde(default)]
    pub speaker: String,
    /// The words.
    pub text: String,
}

/// The answer to a criterion's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The criterion is met.
    Yes,
    /// The criterion is not met.
    No,
    /// The criterion is not to be asked of this conversation.
    NotApplicable,
    /// The answer is another than yes or no.
    Answered,
}

/// A verdict with its reason.
#[derive(Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// 0 to 1, by the kind of match: words in a row, words with gaps, nothing found, words of the question only.
    pub confidence: f64,
    /// Which sentence of the guidance decided, and by what words.
    pub rationale: String,
    /// What was quoted for it; empty when nothing matched.
    pub evidence: Vec<Evidence>,
}

/// A verbatim quote and where it stands.
#[derive(Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The utterance's number.
    pub utterance: u64,
    /// Its words, verbatim.
    pub quote: String,
}

impl Verdict {
    fn of_word(word: &str) -> Option<Self> {
        match word {
            "yes" => Some(Self::Yes),
            "no" => Some(Self::No),
            "n/a" => Some(Self::NotApplicable),
            _ => None,
        }
    }

    /// The word of the answer's schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::NotApplicable => "not_applicable",
            Self::Answered => "answered",
        }
    }
}

impl Prompt {
    /// Every criterion judged, by key.
    pub fn judge(&self) -> HashMap<&str, Judged> {
        let heard: Vec<Heard<'_>> =
            self.transcript.iter().map(|u| Heard::new(u.n, Speaker::of_word(&u.speaker), &u.text)).collect();
        self.criteria.iter().map(|criterion| (criterion.key.as_str(), criterion.answer(&heard))).collect()
    }
}

impl Criterion {
    /// Not-applicable sentences first, then No, then Yes, then `Otherwise`; without any of them the verdict is no.
    pub fn judge(&self, transcript: &[Heard<'_>]) -> Judgement {
        let guidance = Guidance::read(self.guidance.as_deref().unwrap_or_default());
        let mut judgement = if guidance.is_empty() {
            by_question(&self.question, transcript)
        } else {
            self.by_rules(&guidance, transcript)
        };
        for sentence in &guidance.not_understood {
            judgement.rationale.push_str(" Not understood by the phrase rules: ");
            judgement.rationale.push_str(sentence);
        }
        judgement
    }

    fn by_rules(&self, guidance: &Guidance, transcript: &[Heard<'_>]) -> Judgement {
        for verdict in [Verdict::NotApplicable, Verdict::No, Verdict::Yes] {
            if verdict == Verdict::NotApplicable && !self.not_applicable_allowed {
                continue;
            }
            let rules = guidance.rules.iter().filter(|rule| rule.verdict == verdict);
            if let Some(judgement) = rules.into_iter().find_map(|rule| fires(rule, transcript)) {
                return judgement;
            }
        }
        let allowed = |verdict: &Verdict| *verdict != Verdict::NotApplicable || self.not_applicable_allowed;
        match guidance.otherwise.filter(allowed) {
            Some(verdict) => Judgement {
                verdict,
                confidence: 0.7,
                rationale: format!("Rule: Otherwise {}. No other rule of the guidance fired.", verdict.as_str()),
                evidence: Vec::new(),
            },
            None => Judgement {
                verdict: Verdict::No,
                confidence: 0.8,
                rationale: "No rule of the guidance fired: nothing was found that it asks for.".to_owned(),
                evidence: Vec::new(),
            },
        }
    }
}

/// One match of a phrase.
struct Match<'a, 't> {
    heard: &'a Heard<'t>,
    phrase: &'a matching::Phrase,
    span: Span,
}

fn fires(rule: &Rule, transcript: &[Heard<'_>]) -> Option<Judgement> {
    let matches = matches_of(rule, transcript);
    if rule.unless {
        return matches.is_none().then(|| Judgement {
            verdict: rule.verdict,
            confidence: 0.8,
            rationale: format!("Rule: {} Nothing of it was said.", rule.sentence),
            evidence: Vec::new(),
        });
    }
    let matches = matches?;
    let gap = matches.iter().any(|found| found.phrase.has_gap());
    let single = matches.iter().any(|found| found.phrase.len() == 1);
    let said: Vec<String> = matches
        .iter()
        .map(|found| format!("\"{}\" in utterance {}", found.phrase.text(), found.heard.number))
        .collect();
    Some(Judgement {
        verdict: rule.verdict,
        confidence: if gap {
            0.85
        } else if single {
            0.9
        } else {
            0.95
        },
        rationale: format!("Rule: {} Found {}.", rule.sentence, said.join(" and ")),
        evidence: matches
            .iter()
            .map(|found| Evidence { utterance: found.heard.number, quote: found.heard.quote(&found.span).to_owned() })
            .collect(),
    })
}

/// The earliest match of any phrase; with `and`, the earliest match of each, or none.
fn matches_of<'a, 't>(rule: &'a Rule, transcript: &'a [Heard<'t>]) -> Option<Vec<Match<'a, 't>>> {
    let window = match rule.window {
        Window::Whole => transcript,
        Window::First(count) => &transcript[..count.min(transcript.len())],
        Window::Last(count) => &transcript[transcript.len().saturating_sub(count)..],
    };
    let heard = || window.iter().filter(|heard| rule.who.is_none_or(|who| heard.speaker == who));
    let find = |heard: &'a Heard<'t>, phrase: &'a matching::Phrase| {
        heard.find(phrase, rule.asks).map(|span| Match { heard, phrase, span })
    };
    if rule.all {
        return rule.phrases.iter().map(|phrase| heard().find_map(|heard| find(heard, phrase))).collect();
    }
    heard().find_map(|heard| rule.phrases.iter().find_map(|phrase| find(heard, phrase))).map(|found| vec![found])
}

/// Without rules: yes when one agent utterance holds at least half of the question's content words.
fn by_question(question: &str, transcript: &[Heard<'_>]) -> Judgement {
    const SAID: &str = "The guidance has no phrase rule, so the words of the question decided";
    let wanted = content_words(question);
    let found = |heard: &Heard<'_>| wanted.iter().filter(|word| heard.has_word(word)).count();
    let best = transcript.iter().filter(|heard| heard.speaker == Speaker::Agent).max_by_key(|heard| found(heard));
    match best {
        Some(heard) if !wanted.is_empty() && found(heard) * 2 >= wanted.len() => Judgement {
            verdict: Verdict::Yes,
            confidence: confidence_of(found(heard), wanted.len()),
            rationale: format!("{SAID}: utterance {} has {} of {}.", heard.number, found(heard), wanted.join(", ")),
            evidence: vec![Evidence { utterance: heard.number, quote: whole_or_first_words(heard) }],
        },
        _ => Judgement {
            verdict: Verdict::No,
            confidence: 0.3,
            rationale: format!("{SAID}: no agent utterance has half of {}.", wanted.join(", ")),
            evidence: Vec::new(),
        },
    }
}

fn whole_or_first_words(heard: &Heard<'_>) -> String {
    let start = heard.text.len() - heard.text.trim_start().len();
    heard.quote(&Span { bytes: start..start }).to_owned()
}

/// For a prompt that is not the known document: yes when at least half of the question's words stand anywhere in the text.
pub fn by_text(question: &str, text: &Heard<'_>) -> Judgement {
    let wanted = content_words(question);
    let found = wanted.iter().filter(|word| text.has_word(word)).count();
    let yes = !wanted.is_empty() && found * 2 >= wanted.len();
    Judgement {
        verdict: if yes { Verdict::Yes } else { Verdict::No },
        confidence: if yes { confidence_of(found, wanted.len()) } else { 0.3 },
        rationale: format!(
            "The prompt is not the document of criteria and transcript that the phrase rules read, so the words of the \
             question decided: the text has {found} of {}.",
            wanted.join(", ")
        ),
        evidence: Vec::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a handful of words")]
fn confidence_of(found: usize, wanted: usize) -> f64 {
    let share = found as f64 / wanted as f64;
    (share * 50.0).round() / 100.0
}

/// Words of at least four letters that are not glue, each once.
fn content_words(question: &str) -> Vec<String> {
    const GLUE: [&str; 34] = [
        "about",
        "after",
        "agent",
        "also",
        "anyone",
        "been",
        "before",
        "call",
        "caller",
        "conversation",
        "customer",
        "does",
        "from",
        "have",
        "into",
        "make",
        "said",
        "says",
        "some",
        "than",
        "that",
        "their",
        "them",
        "then",
        "there",
        "they",
        "this",
        "were",
        "what",
        "when",
        "where",
        "which",
        "with",
        "would",
    ];
    let mut words = normal_words(question);
    words.retain(|word| word.chars().count() >= 4 && !GLUE.contains(&word.as_str()));
    words.sort();
    words.dedup();
    words
}

#[cfg(test)]
mod tests;
