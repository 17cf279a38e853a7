//! What can be answered at all, and the best that it comes to.

use std::collections::{HashMap, HashSet};

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};

use super::super::{AnswerKind, AnsweredBy, Criterion, Definition, Range, Section};
use crate::platform::plugins::FULL_SCORE;

/// The criteria gone through so far, with the answers that each can get.
#[derive(Default)]
pub(super) struct Reach<'a> {
    words: HashMap<&'a str, HashSet<&'a str>>,
}

impl<'a> Reach<'a> {
    /// Goes through the next criterion of the scorecard.
    pub fn add(&mut self, criterion: &'a Criterion) {
        let shown = criterion.shown_when.as_ref();
        let asked =
            shown.is_none_or(|condition| condition.answered.iter().any(|word| self.can_be(&condition.criterion, word)));
        let words = match asked {
            true => criterion.possible_words().into_iter().filter(|word| says(criterion, word)).collect(),
            false => HashSet::new(),
        };
        if asked {
            self.words.insert(&criterion.key, words);
        }
    }

    /// Whether the criterion can be answered so.
    pub fn can_be(&self, criterion: &str, word: &str) -> bool {
        self.words.get(criterion).is_some_and(|words| words.contains(word))
    }

    /// Whether the criterion can be asked.
    pub fn is_asked(&self, criterion: &str) -> bool {
        self.words.contains_key(criterion)
    }

    /// The best overall score in hundredths that weights allow: every criterion gets its best answer, and what would lower the score is left
    /// out where the scorecard allows it.
    pub fn best_overall(&self, definition: &Definition) -> u32 {
        let sections = definition.sections.iter().filter_map(|section| {
            let optional = section.criteria.iter().all(|c| !c.answer.is_scored() || c.can_be_left_out());
            Some(Part { weight: section.weight, best: self.best_section(section)?, optional })
        });
        let best = best_mean(sections.collect());
        best.map_or(0, |best| (best * BigInt::from(FULL_SCORE)).to_integer().to_u32().unwrap_or(0))
    }

    fn best_section(&self, section: &Section) -> Option<BigRational> {
        let scored = section.criteria.iter().filter(|c| c.answer.is_scored() && self.is_asked(&c.key));
        let parts = scored.map(|criterion| Part {
            weight: criterion.weight,
            best: BigRational::new(BigInt::from(best(criterion).min(100)), BigInt::from(100)),
            optional: criterion.can_be_left_out(),
        });
        best_mean(parts.collect())
    }
}

struct Part {
    weight: u32,
    best: BigRational,
    optional: bool,
}

/// The largest weighed mean: all parts that must be, and of the others the best ones while they raise it.
fn best_mean(mut parts: Vec<Part>) -> Option<BigRational> {
    parts.sort_by(|a, b| a.optional.cmp(&b.optional).then_with(|| b.best.cmp(&a.best)));
    let (mut sum, mut weights) = (BigRational::zero(), BigInt::zero());
    for part in parts {
        let helps = weights.is_zero() || &part.best * &weights > sum;
        if !part.optional || helps {
            sum += &part.best * BigInt::from(part.weight);
            weights += part.weight;
        }
    }
    (!weights.is_zero()).then(|| sum / weights)
}

/// The most that an answer of the criterion can be worth, of those that it can get; may be below 0.
pub(super) fn best(criterion: &Criterion) -> i32 {
    let answer = &criterion.answer;
    let scores: Vec<i32> = match answer.kind {
        AnswerKind::YesNo => vec![answer.yes, answer.no],
        AnswerKind::SingleChoice => {
            answer.choices.iter().filter(|c| says(criterion, &c.key)).map(|choice| choice.score).collect()
        }
        AnswerKind::MultipleChoice => {
            let good = answer.choices.iter().filter(|c| c.score > 0 && says(criterion, &c.key));
            vec![good.fold(0, |sum, choice| sum.saturating_add(choice.score))]
        }
        // A number in no range is worth 0.
        AnswerKind::Number => answer.ranges.iter().map(|range| range.score).chain([0]).collect(),
        AnswerKind::Text => vec![],
    };
    scores.into_iter().max().unwrap_or(0)
}

/// Whether whoever answers the criterion can give this answer: a rule chooses only what it names, and a covered range holds no number.
pub(super) fn says(criterion: &Criterion, word: &str) -> bool {
    let answer = &criterion.answer;
    match (criterion.answered_by, &criterion.rule, answer.kind) {
        (_, _, AnswerKind::Number) => {
            let covered = covered(&answer.ranges);
            !covered.iter().any(|n| answer.ranges[*n].key == word)
        }
        (AnsweredBy::Rule, Some(rule), AnswerKind::SingleChoice | AnswerKind::MultipleChoice) => {
            word == "not_applicable" || rule.choose.iter().any(|choose| choose.choice == word)
        }
        _ => true,
    }
}

/// The ranges that hold no number which those before them do not hold.
pub(super) fn covered(ranges: &[Range]) -> Vec<usize> {
    let bounds = |range: &Range| (range.from.unwrap_or(i64::MIN), range.to.unwrap_or(i64::MAX));
    let is_covered = |n: usize| {
        let (mut from, to) = bounds(&ranges[n]);
        let mut before: Vec<_> = ranges[..n].iter().map(bounds).collect();
        before.sort_unstable();
        for (first, last) in before {
            if first > from {
                break;
            }
            if last >= to {
                return true;
            }
            from = from.max(last.saturating_add(1));
        }
        false
    };
    (0..ranges.len()).filter(|n| is_covered(*n)).collect()
}
