//! Rules answer criteria: exactly, for nothing, and explained by the very words that matched. No I/O.
//!
//! [`answer`] reads the transcript once: `phrases` finds every phrase of the scorecard in one pass over its `conversation`'s words, `holds`
//! says of each rule whether it holds and why. Equal input gives equal answers. What that costs is bounded: a criterion whose phrases are said more often
//! than can be looked at is unanswered, and says so.

mod conversation;
mod holds;
mod phrases;
mod telling;
#[cfg(test)]
mod tests;

use self::{
    conversation::{Conversation, Match},
    holds::{Finding, Judge},
    phrases::Phrases,
    telling::sentence,
};
use super::model::{Answer, Evidence, Given, Reason, Utterance, Verdict};
use crate::product::scorecards::model::{AnswerKind, AnsweredBy, Criterion, Definition, RuleAnswers};

/// Of an answer's matches so many are kept as evidence, the first ones; the rationale tells how many there are.
pub const MAX_EVIDENCE: usize = 50;
/// Rules are sure: in hundredths of a percent.
const CERTAIN: u32 = 10_000;

/// The answers to all criteria that rules answer, in the scorecard's order. Conditions ([`Criterion::shown_when`]) are not looked at: they are
/// about other answers. `metrics` are the conversation metrics that are whole numbers.
pub fn answer(definition: &Definition, transcript: &[Utterance], metrics: &[(String, i64)]) -> Vec<Answer> {
    let ruled: Vec<&Criterion> =
        definition.criteria().filter(|criterion| criterion.answered_by == AnsweredBy::Rule).collect();
    if ruled.is_empty() {
        return vec![];
    }
    let conversation = Conversation::of(transcript);
    let phrases = Phrases::of(ruled.iter().filter_map(|criterion| criterion.rule.as_ref()), &conversation);
    let judge = Judge { conversation: &conversation, phrases: &phrases, metrics };
    ruled.into_iter().map(|criterion| judge.answer(criterion)).collect()
}

/// What the rules of a criterion come to.
enum Said {
    /// An answer, and what it rests on.
    Answer { said: Verdict, given: Given, finding: Finding },
    /// Nothing that counts.
    Nothing(Reason, String),
}

impl Judge<'_> {
    fn answer(&self, criterion: &Criterion) -> Answer {
        self.phrases.begin();
        let said = match &criterion.rule {
            Some(rules) => match self.say(criterion, rules) {
                // Metrics alone need no phrase.
                _ if self.phrases.is_exhausted() && phrases::has_any(rules) => {
                    Said::Nothing(Reason::TooManyMatches, "its phrases are in the conversation too often".to_owned())
                }
                said => said,
            },
            None => Said::Nothing(Reason::NoRuleHolds, "the criterion has no rule".to_owned()),
        };
        let (said, given, finding) = match said {
            Said::Answer { said, given, finding } => (said, given, finding),
            // A chat has no silences: that is no fault of the agent's, and nothing that a person could find out.
            Said::Nothing(reason @ Reason::MetricUnknown, because) if criterion.not_applicable => {
                let answer = self.unanswered(criterion, reason, &because);
                let verdict = Verdict::NotApplicable;
                return Answer { claimed: verdict, verdict, rationale: sentence(&because), ..answer };
            }
            Said::Nothing(reason, because) => return self.unanswered(criterion, reason, &because),
        };
        let judged = match criterion.answer.judge(said, &given) {
            Ok(judged) => judged,
            Err(wrong) => {
                let because = format!("what the rules say {wrong}");
                return self.unanswered(criterion, Reason::UnusableAnswer, &because);
            }
        };
        let reason = match (judged.verdict, judged.worth) {
            (Verdict::NotApplicable, _) => Some(Reason::NotApplicable),
            (_, None) => Some(Reason::Unscored),
            _ => None,
        };
        Answer {
            criterion: criterion.key.clone(),
            claimed: judged.verdict,
            verdict: judged.verdict,
            given,
            worth: judged.worth,
            answered_by: AnsweredBy::Rule,
            reason,
            carried_from: None,
            confidence: CERTAIN,
            rationale: sentence(&finding.because),
            evidence: self.evidence(finding.matches),
        }
    }

    fn say(&self, criterion: &Criterion, rules: &RuleAnswers) -> Said {
        if let Some(rule) = &rules.applies_when {
            let finding = self.holds(rule);
            if finding.is_unknown {
                return Said::Nothing(Reason::MetricUnknown, finding.because);
            }
            if !finding.holds {
                let finding = finding.told("does not apply");
                return Said::Answer { said: Verdict::NotApplicable, given: Given::default(), finding };
            }
        }
        match criterion.answer.kind {
            AnswerKind::YesNo => match &rules.yes_when {
                Some(rule) => {
                    let finding = self.holds(rule);
                    if finding.is_unknown {
                        return Said::Nothing(Reason::MetricUnknown, finding.because);
                    }
                    let (said, word) = if finding.holds { (Verdict::Yes, "yes") } else { (Verdict::No, "no") };
                    Said::Answer { said, given: Given::default(), finding: finding.told(word) }
                }
                None => Said::Nothing(Reason::NoRuleHolds, "no rule says when the answer is yes".to_owned()),
            },
            AnswerKind::SingleChoice | AnswerKind::MultipleChoice => self.choose(criterion, rules),
            AnswerKind::Number => self.number(rules),
            AnswerKind::Text => Said::Nothing(Reason::Unscored, "rules cannot answer in words".to_owned()),
        }
    }

    fn choose(&self, criterion: &Criterion, rules: &RuleAnswers) -> Said {
        let single = criterion.answer.kind == AnswerKind::SingleChoice;
        let (mut given, mut all) = (Given::default(), Finding::nothing());
        for choose in &rules.choose {
            if given.choices.contains(&choose.choice) {
                continue;
            }
            let finding = self.holds(&choose.when);
            if finding.is_unknown {
                return Said::Nothing(Reason::MetricUnknown, finding.because);
            }
            if finding.holds {
                given.choices.push(choose.choice.clone());
                all.join(finding.told(&choose.choice));
                if single {
                    break;
                }
            }
        }
        if given.choices.is_empty() {
            if single {
                return Said::Nothing(Reason::NoRuleHolds, "no rule of a choice holds".to_owned());
            }
            all.because = "none: no rule of a choice holds".to_owned();
        }
        Said::Answer { said: Verdict::Answered, given, finding: all }
    }

    fn number(&self, rules: &RuleAnswers) -> Said {
        let Some(metric) = &rules.number_from else {
            return Said::Nothing(Reason::NoRuleHolds, "no metric gives the number".to_owned());
        };
        let Some(number) = self.metric(metric) else {
            return Said::Nothing(Reason::MetricUnknown, format!("the conversation has no {metric}"));
        };
        let finding = Finding { because: format!("{metric} is {number}"), ..Finding::nothing() };
        Said::Answer { said: Verdict::Answered, given: Given { number: Some(number), ..Given::default() }, finding }
    }

    fn unanswered(&self, criterion: &Criterion, reason: Reason, because: &str) -> Answer {
        Answer {
            criterion: criterion.key.clone(),
            claimed: Verdict::Unverified,
            verdict: Verdict::Unverified,
            given: Given::default(),
            worth: None,
            answered_by: AnsweredBy::Rule,
            reason: Some(reason),
            carried_from: None,
            confidence: CERTAIN,
            rationale: sentence(&format!("unanswered: {because}")),
            evidence: vec![],
        }
    }

    /// The matches in the order of the conversation, each once.
    fn evidence(&self, mut matches: Vec<Match>) -> Vec<Evidence> {
        matches.sort_unstable();
        matches.dedup();
        matches.truncate(MAX_EVIDENCE);
        let places = matches.into_iter().map(|found| self.conversation.place(found));
        places.map(|place| Evidence { quote: place.words.clone(), found: Some(place) }).collect()
    }
}
