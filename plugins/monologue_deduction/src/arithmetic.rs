//! The weighted score, exactly: fractions of whole numbers of any size, rounded once at the end.

use crate::{
    plumbline::plugin::types::{Answer, AutoFail, Criterion, Scorecard, Section, Verdict},
    whole::Whole,
};

/// 100.00, in hundredths.
pub const FULL_SCORE: u32 = 10_000;

/// Whether a criterion is fulfilled. None if it leaves the denominator: not applicable, unverified or not answered.
pub fn fulfilled(criterion: &Criterion, answers: &[Answer]) -> Option<bool> {
    let answer = answers.iter().find(|answer| answer.criterion == criterion.key)?;
    match answer.verdict {
        Verdict::Yes => Some(true),
        Verdict::No => Some(false),
        Verdict::NotApplicable | Verdict::Unverified => None,
    }
}

/// The overall score in hundredths, rounded half up. None if no criterion is applicable.
///
/// `Σ section weight · section / Σ section weight` over the sections that have an applicable criterion, where a section is
/// `Σ weight of the fulfilled / Σ weight of the applicable`. The sum is kept as one fraction over the product of all
/// denominators, which outgrows every machine integer for a scorecard of many sections: hence whole numbers of any size.
pub fn overall(scorecard: &Scorecard, answers: &[Answer]) -> Option<u32> {
    let mut numerator = Whole::from(0);
    let mut denominator = Whole::from(1);
    let mut weights = 0u64;
    for section in &scorecard.sections {
        let Share { fulfilled, applicable } = share(section, answers);
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
    if scorecard.sections.iter().any(|section| fails(section, answers, AutoFail::Evaluation)) {
        return Some(0);
    }
    // Half up: ⌊(2 · 10000 · n + d) / 2d⌋ of n / d.
    let whole = denominator.times(weights);
    let doubled = numerator.times(2 * u64::from(FULL_SCORE)).plus(&whole);
    Some(doubled.contains(&whole.times(2), FULL_SCORE))
}

/// The weights of a section's criteria.
struct Share {
    fulfilled: u64,
    applicable: u64,
}

fn share(section: &Section, answers: &[Answer]) -> Share {
    let mut share = Share { fulfilled: 0, applicable: 0 };
    for criterion in &section.criteria {
        let Some(yes) = fulfilled(criterion, answers) else { continue };
        share.applicable += u64::from(criterion.weight);
        share.fulfilled += if yes { u64::from(criterion.weight) } else { 0 };
    }
    if fails(section, answers, AutoFail::Section) {
        share.fulfilled = 0;
    }
    share
}

/// Whether a criterion with this consequence is not fulfilled.
fn fails(section: &Section, answers: &[Answer], consequence: AutoFail) -> bool {
    let mut grave = section.criteria.iter().filter(|criterion| criterion.auto_fail == consequence);
    grave.any(|criterion| fulfilled(criterion, answers) == Some(false))
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
}
