//! One answer of the answers that the parts of a conversation got. Deterministic, and careful: where parts contradict each other a person decides.
//!
//! An answer counts as *shown* when at least one of its quotes stands in its own part. Whoever looks at one part cannot know what happened in the
//! others, so a "no" without a quote, "not applicable", no choice and 0 only say that this part shows nothing.

use std::{cmp::Reverse, collections::BTreeSet};

use crate::product::{
    evaluations::{
        evidence,
        model::{Answer, Evidence, Given, Reason, Verdict},
    },
    scorecards::model::{AnswerKind, Criterion},
};

/// A choice is preferred to another one when it is surer by so much: ten percentage points, in hundredths of a percent.
pub const LEAD: u32 = 1_000;

/// The answer to a criterion, of those of the parts in their order. One alone stays as it is.
///
/// # Panics
/// Never, unless there is no part.
pub fn merge(criterion: &Criterion, mut parts: Vec<Answer>) -> Answer {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let parts = Parts { criterion, all: &parts };
    match criterion.answer.kind {
        AnswerKind::YesNo => parts.yes_or_no(),
        AnswerKind::SingleChoice => parts.choice(),
        AnswerKind::MultipleChoice => parts.choices(),
        AnswerKind::Number => parts.number(),
        AnswerKind::Text => parts.text(),
    }
}

struct Parts<'a> {
    criterion: &'a Criterion,
    all: &'a [Answer],
}

/// Whether a quote of the answer stands in its part.
fn is_shown(answer: &Answer) -> bool {
    answer.verdict != Verdict::Unverified && answer.evidence.iter().any(|evidence| evidence.found.is_some())
}

fn applies(answer: &Answer) -> bool {
    answer.verdict != Verdict::NotApplicable
}

fn is_unverified(answer: &Answer) -> bool {
    answer.verdict == Verdict::Unverified
}

impl Parts<'_> {
    /// Shown by one part is shown by the conversation, unless another part shows the opposite.
    fn yes_or_no(&self) -> Answer {
        let yes = self.which(|answer| answer.verdict == Verdict::Yes);
        let shown_no = self.which(|answer| answer.verdict == Verdict::No && is_shown(answer));
        match (self.surest(&yes), self.surest(&shown_no)) {
            (Some(yes), Some(no)) => self.disagree(&[yes, no]),
            (Some(yes), None) => self.alone(yes),
            (None, Some(no)) => self.unless_unverified(|| self.of(&[no], Given::default(), self.least_sure())),
            (None, None) => self.unless_unverified(|| self.absent()),
        }
    }

    /// The choice that is shown; of several the surest by far, if all of them pass or all fail.
    fn choice(&self) -> Answer {
        let shown = self.which(is_shown_choice);
        let standing = self.which(|answer| !answer.given.choices.is_empty() && !is_unverified(answer));
        let candidates = if shown.is_empty() { &standing } else { &shown };
        let mut best: Vec<usize> = vec![];
        for &at in candidates {
            match best.iter_mut().find(|other| self.all[**other].given == self.all[at].given) {
                Some(other) if self.all[*other].confidence < self.all[at].confidence => *other = at,
                Some(_) => {}
                None => best.push(at),
            }
        }
        best.sort_by_key(|at| Reverse(self.all[*at].confidence));
        let decided = match best.as_slice() {
            [] => return self.unless_unverified(|| self.absent()),
            [only] => Some(*only),
            [first, second, ..] => {
                let leads = self.all[*first].confidence >= self.all[*second].confidence.saturating_add(LEAD);
                let alike = best.iter().all(|at| self.all[*at].verdict == self.all[*first].verdict);
                (leads && alike).then_some(*first)
            }
        };
        match decided {
            Some(at) if shown.is_empty() => {
                self.unless_unverified(|| self.of(&[at], self.all[at].given.clone(), self.least_sure()))
            }
            Some(at) => self.alone(at),
            None => self.disagree(&best),
        }
    }

    /// Every choice that any part shows.
    fn choices(&self) -> Answer {
        let standing = self.which(|answer| applies(answer) && !is_unverified(answer));
        let chosen = |key: &String, at: &usize| self.all[*at].given.choices.contains(key);
        let keys = self.criterion.answer.choices.iter().map(|choice| choice.key.clone());
        let union: Vec<String> = keys.filter(|key| standing.iter().any(|at| chosen(key, at))).collect();
        let lost = self.which(|answer| {
            let more = answer.given.choices.iter().any(|key| !union.contains(key));
            is_unverified(answer) && (union.is_empty() || more || answer.reason == Some(Reason::UnusableAnswer))
        });
        if let Some(lost) = lost.first() {
            return self.alone(*lost);
        }
        if union.is_empty() {
            return self.absent();
        }
        let surest = union
            .iter()
            .filter_map(|key| self.surest(&standing.iter().copied().filter(|at| chosen(key, at)).collect::<Vec<_>>()));
        let by: Vec<usize> = surest.collect::<BTreeSet<_>>().into_iter().collect();
        let confidence = by.iter().map(|at| self.all[*at].confidence).min().unwrap_or(0);
        self.of(&by, Given { choices: union, ..Given::default() }, confidence)
    }

    /// The number of the only part that has one. Whether several are to be added up, or are the same thing said twice, nobody can tell.
    fn number(&self) -> Answer {
        let nothing = |answer: &Answer| answer.given.number == Some(0) && !is_shown(answer) && !is_unverified(answer);
        let with = self.which(|answer| applies(answer) && !nothing(answer));
        if let Some(unverified) = with.iter().find(|at| is_unverified(&self.all[**at])) {
            return self.alone(*unverified);
        }
        let places = |at: usize| -> BTreeSet<u32> {
            let found = self.all[at].evidence.iter().filter_map(|evidence| evidence.found.as_ref());
            found.map(|place| place.utterance).collect()
        };
        match with.as_slice() {
            [] => self.absent(),
            [only] => self.alone(*only),
            [first, rest @ ..] => {
                let same = |at: &usize| self.all[*at].given == self.all[*first].given && places(*at) == places(*first);
                let once = !places(*first).is_empty() && rest.iter().all(same);
                if once { self.alone(self.surest(&with).unwrap_or(*first)) } else { self.disagree(&with) }
            }
        }
    }

    /// The words of all parts, one after the other.
    fn text(&self) -> Answer {
        let said = |answer: &Answer| answer.given.text.as_deref().is_some_and(|text| !text.trim().is_empty());
        let with = self.which(|answer| applies(answer) && !is_unverified(answer) && said(answer));
        self.unless_unverified(|| {
            if with.is_empty() {
                return self.absent();
            }
            let texts = with.iter().filter_map(|at| self.all[*at].given.text.as_deref());
            let text = texts.collect::<Vec<_>>().join("\n");
            self.of(&with, Given { text: Some(text), ..Given::default() }, self.least_sure())
        })
    }

    fn which(&self, keep: impl Fn(&Answer) -> bool) -> Vec<usize> {
        self.all.iter().enumerate().filter(|(_, answer)| keep(answer)).map(|(at, _)| at).collect()
    }

    /// The first of the surest.
    fn surest(&self, of: &[usize]) -> Option<usize> {
        of.iter().copied().min_by_key(|at| Reverse(self.all[*at].confidence))
    }

    /// What is said of all parts is as sure as of the least sure one.
    fn least_sure(&self) -> u32 {
        self.all.iter().map(|answer| answer.confidence).min().unwrap_or(0)
    }

    /// What no part shows is absent, if every part has said so.
    fn unless_unverified(&self, otherwise: impl FnOnce() -> Answer) -> Answer {
        match self.which(is_unverified).first() {
            Some(at) => self.alone(*at),
            None => otherwise(),
        }
    }

    /// Nothing anywhere: the answer of the least sure part to which the criterion applies.
    fn absent(&self) -> Answer {
        let applying = self.which(applies);
        let of = if applying.is_empty() { self.which(|_| true) } else { applying };
        let at = of.into_iter().min_by_key(|at| self.all[*at].confidence).unwrap_or(0);
        self.of(&[at], self.all[at].given.clone(), self.least_sure())
    }

    /// One part's answer.
    fn alone(&self, at: usize) -> Answer {
        self.of(&[at], self.all[at].given.clone(), self.all[at].confidence)
    }

    /// What these parts say against each other waits for a person.
    fn disagree(&self, by: &[usize]) -> Answer {
        let surest = self.surest(by).unwrap_or(0);
        let answer = self.of(by, self.all[surest].given.clone(), self.all[surest].confidence);
        Answer {
            claimed: self.all[surest].claimed,
            verdict: Verdict::Pending,
            worth: None,
            reason: Some(Reason::PartsDisagree),
            ..answer
        }
    }

    /// An answer by these parts: their quotes, and besides them every quote of the others that was rejected.
    fn of(&self, by: &[usize], given: Given, confidence: u32) -> Answer {
        let head = &self.all[by[0]];
        let mut evidence: Vec<Evidence> = vec![];
        for (at, answer) in self.all.iter().enumerate() {
            for one in &answer.evidence {
                let wanted = if by.contains(&at) { !evidence.contains(one) } else { one.found.is_none() };
                if wanted {
                    evidence.push(one.clone());
                }
            }
        }
        let rationale = |at: &usize| format!("Part {} of {}: {}", at + 1, self.all.len(), self.all[*at].rationale);
        let judged = self.criterion.answer.judge(head.claimed, &given).ok().filter(|_| !is_unverified(head));
        let (verdict, worth) = judged.map_or((Verdict::Unverified, None), |judged| (judged.verdict, judged.worth));
        let reason = match verdict {
            Verdict::Unverified => head.reason,
            _ => evidence::reason(verdict, worth, &evidence),
        };
        Answer {
            claimed: if judged.is_some() { verdict } else { head.claimed },
            verdict,
            given,
            worth,
            reason,
            confidence,
            rationale: by.iter().map(rationale).collect::<Vec<_>>().join("\n"),
            evidence,
            ..head.clone()
        }
    }
}

fn is_shown_choice(answer: &Answer) -> bool {
    is_shown(answer) && !answer.given.choices.is_empty()
}

#[cfg(test)]
mod tests;
