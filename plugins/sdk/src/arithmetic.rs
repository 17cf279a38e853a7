//! The weighted score, exactly: fractions of whole numbers of any size, rounded once at the end.

use std::cell::Cell;

use crate::{Answer, AutoFail, Criterion, CriterionScore, ScoreOutput, Scorecard, Section, Verdict, Whole};

/// 100.00, in hundredths.
pub const FULL_SCORE: u32 = 10_000;

/// The answers, found by their criterion.
#[derive(Debug)]
pub struct Verdicts<'a> {
    answers: &'a [Answer],
    /// Where the next answer is expected: they mostly come in the order of the criteria.
    next: Cell<usize>,
}

impl<'a> Verdicts<'a> {
    /// The answers of an input.
    pub fn of(answers: &'a [Answer]) -> Self {
        Self { answers, next: Cell::new(0) }
    }

    /// The answer to a criterion.
    pub fn answer(&self, criterion: &str) -> Option<&'a Answer> {
        let next = self.next.get();
        let place = match self.answers.get(next) {
            Some(answer) if answer.criterion == criterion => next,
            _ => self.answers.iter().position(|answer| answer.criterion == criterion)?,
        };
        self.next.set(place + 1);
        self.answers.get(place)
    }

    /// Whether a criterion is fulfilled. None if it leaves the denominator: not applicable, unverified or not answered.
    pub fn fulfilled(&self, criterion: &Criterion) -> Option<bool> {
        match self.answer(&criterion.key)?.verdict {
            Verdict::Yes => Some(true),
            Verdict::No => Some(false),
            Verdict::NotApplicable | Verdict::Unverified => None,
        }
    }
}

/// All criteria of a scorecard, in order, whatever their section.
pub fn criteria(scorecard: &Scorecard) -> impl Iterator<Item = &Criterion> {
    scorecard.sections.iter().flat_map(|section| &section.criteria)
}

/// What a scorer gives that adds nothing of its own: every criterion's score, and the overall score.
pub fn weighted(scorecard: &Scorecard, answers: &[Answer]) -> ScoreOutput {
    let verdicts = Verdicts::of(answers);
    ScoreOutput {
        criteria: criteria(scorecard).map(|criterion| score(criterion, verdicts.fulfilled(criterion))).collect(),
        overall: overall(scorecard, answers),
        insights: Vec::new(),
        metadata: Vec::new(),
    }
}

/// The score of a criterion that is fulfilled, not fulfilled, or leaves the denominator.
pub fn score(criterion: &Criterion, fulfilled: Option<bool>) -> CriterionScore {
    CriterionScore {
        key: criterion.key.clone(),
        score: fulfilled.map(|yes| if yes { FULL_SCORE } else { 0 }),
        passed: fulfilled,
        note: None,
    }
}

/// The overall score in hundredths, rounded half up. None if no criterion is applicable.
///
/// `Σ section weight · section / Σ section weight` over the sections that have an applicable criterion, where a section is
/// `Σ weight of the fulfilled / Σ weight of the applicable`. A failed criterion with auto-fail `section` makes its section 0, one with
/// `evaluation` everything. The sum is kept as one fraction over the product of all denominators, which outgrows every machine integer
/// for a scorecard of many sections: hence whole numbers of any size.
pub fn overall(scorecard: &Scorecard, answers: &[Answer]) -> Option<u32> {
    let verdicts = Verdicts::of(answers);
    let mut numerator = Whole::from(0);
    let mut denominator = Whole::from(1);
    let mut weights = 0u64;
    let mut failed = false;
    for section in &scorecard.sections {
        let Share { fulfilled, applicable, fails_all } = share(section, &verdicts);
        failed |= fails_all;
        if applicable == 0 {
            continue;
        }
        let more = denominator.times(fulfilled).times(u64::from(section.weight));
        numerator = numerator.times(applicable).plus(&more);
        denominator = denominator.times(applicable);
        weights += u64::from(section.weight);
    }
    if weights == 0 {
        return None;
    }
    if failed {
        return Some(0);
    }
    Some(rounded(&numerator, &denominator.times(weights)))
}

/// A fraction of 1 in hundredths of a percent, rounded half up; what is more than 1 is 1. `whole` is not 0.
pub fn rounded(part: &Whole, whole: &Whole) -> u32 {
    // Half up: ⌊(2 · 10000 · n + d) / 2d⌋ of n / d.
    let doubled = part.times(2 * u64::from(FULL_SCORE)).plus(whole);
    doubled.contains(&whole.times(2), FULL_SCORE)
}

/// The weights of a section's criteria.
struct Share {
    fulfilled: u64,
    applicable: u64,
    /// Whether a criterion failed that fails the evaluation.
    fails_all: bool,
}

fn share(section: &Section, verdicts: &Verdicts<'_>) -> Share {
    let mut share = Share { fulfilled: 0, applicable: 0, fails_all: false };
    let mut fails_section = false;
    for criterion in &section.criteria {
        let Some(yes) = verdicts.fulfilled(criterion) else { continue };
        share.applicable += u64::from(criterion.weight);
        if yes {
            share.fulfilled += u64::from(criterion.weight);
            continue;
        }
        match criterion.auto_fail {
            AutoFail::None => {}
            AutoFail::Section => fails_section = true,
            AutoFail::Evaluation => share.fails_all = true,
        }
    }
    if fails_section {
        share.fulfilled = 0;
    }
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section from `(weight, auto-fail, verdict)`, and the answers to it.
    fn section(key: &str, weight: u32, criteria: &[(u32, AutoFail, Verdict)]) -> (Section, Vec<Answer>) {
        let name = |n: usize| format!("{key}_{n}");
        let made = criteria.iter().enumerate().map(|(n, (weight, auto_fail, _))| Criterion {
            key: name(n),
            question: String::new(),
            guidance: String::new(),
            weight: *weight,
            auto_fail: *auto_fail,
            not_applicable: true,
        });
        let answers = criteria.iter().enumerate().map(|(n, (_, _, verdict))| Answer {
            criterion: name(n),
            verdict: *verdict,
            confidence: 10_000,
            rationale: String::new(),
            evidence: Vec::new(),
        });
        let section = Section { key: key.into(), name: key.into(), weight, criteria: made.collect() };
        (section, answers.collect())
    }

    fn score(sections: Vec<(Section, Vec<Answer>)>) -> Option<u32> {
        let (sections, answers): (Vec<_>, Vec<_>) = sections.into_iter().unzip();
        overall(&Scorecard { name: String::new(), version: 1, sections }, &answers.concat())
    }

    const YES: (u32, AutoFail, Verdict) = (1, AutoFail::None, Verdict::Yes);
    const NO: (u32, AutoFail, Verdict) = (1, AutoFail::None, Verdict::No);

    #[test]
    fn the_worked_example_of_the_readme() {
        let opening = section("opening", 1, &[(1, AutoFail::None, Verdict::Yes), (2, AutoFail::None, Verdict::No)]);
        let resolution = section("resolution", 2, &[YES, (1, AutoFail::None, Verdict::NotApplicable)]);
        // (1 · 1/3 + 2 · 1) / 3 = 7/9
        assert_eq!(score(vec![opening, resolution]), Some(7_778));
    }

    #[test]
    fn half_a_hundredth_rounds_up_and_less_rounds_down() {
        let of = |yes: u32, all: u32| {
            let answers = [(yes, AutoFail::None, Verdict::Yes), (all - yes, AutoFail::None, Verdict::No)];
            score(vec![section("s", 1, &answers)])
        };
        assert_eq!(of(1, 20_000), Some(1), "0.5 hundredths");
        assert_eq!(of(1, 20_001), Some(0));
        assert_eq!(of(19_999, 20_000), Some(10_000));
        assert_eq!(of(1, 3), Some(3_333));
        assert_eq!(of(2, 3), Some(6_667));
    }

    #[test]
    fn what_is_not_applicable_changes_nothing() {
        let neutral = [(7, AutoFail::Evaluation, Verdict::NotApplicable), (9, AutoFail::Section, Verdict::Unverified)];
        let with = [YES, NO, neutral[0], neutral[1]];
        let empty = section("empty", 1_000, &neutral);
        assert_eq!(score(vec![section("s", 1, &with), empty]), Some(5_000));
        assert_eq!(score(vec![section("s", 1, &neutral)]), None);
        assert_eq!(score(vec![]), None);
    }

    #[test]
    fn an_auto_fail_fails_its_section_or_everything() {
        let grave = |auto_fail| section("grave", 1, &[(1, auto_fail, Verdict::No), (99, AutoFail::None, Verdict::Yes)]);
        let good = || section("good", 3, &[YES]);
        assert_eq!(score(vec![good(), grave(AutoFail::Section)]), Some(7_500));
        assert_eq!(score(vec![good(), grave(AutoFail::Evaluation)]), Some(0));
        assert_eq!(score(vec![good(), grave(AutoFail::None)]), Some(9_975));
    }

    #[test]
    fn many_sections_of_unlike_weights_stay_exact() {
        // Each section is worth 1/2, over denominators whose product needs hundreds of digits.
        let sections: Vec<_> = (1..=100)
            .map(|n| {
                let half = (500 + n, AutoFail::None, Verdict::Yes);
                section(&format!("s{n}"), n, &[half, (500 + n, AutoFail::None, Verdict::No)])
            })
            .collect();
        assert_eq!(score(sections), Some(5_000));
    }

    #[test]
    fn answers_are_found_in_any_order() {
        let (one, mut answers) = section("s", 1, &[YES, NO, YES]);
        answers.rotate_left(1);
        let output = weighted(&Scorecard { name: String::new(), version: 1, sections: vec![one] }, &answers);
        let passed: Vec<_> = output.criteria.iter().map(|one| (one.key.as_str(), one.passed)).collect();
        assert_eq!(passed, [("s_0", Some(true)), ("s_1", Some(false)), ("s_2", Some(true))]);
        assert_eq!(output.overall, Some(6_667));
    }
}
