use proptest::prelude::*;

use super::*;

const YES: Option<u32> = Some(FULL_SCORE);
const NO: Option<u32> = Some(0);

fn mark(weight: u32, value: Option<u32>) -> CriterionMark {
    CriterionMark { weight, value, failed: AutoFail::None }
}

fn failed(weight: u32, what: AutoFail) -> CriterionMark {
    CriterionMark { weight, value: NO, failed: what }
}

fn of(sections: &[(u32, &[CriterionMark])]) -> Totals {
    let sections: Vec<_> = sections
        .iter()
        .map(|(weight, criteria)| SectionMarks { weight: *weight, criteria: criteria.to_vec() })
        .collect();
    score(&sections)
}

fn expect(sections: &[(u32, &[CriterionMark])], each: &[Option<u32>], overall: Option<u32>) {
    assert_eq!(of(sections), Totals { sections: each.to_vec(), overall });
}

/// The table of the module's documentation.
#[test]
fn worked_examples() {
    let (y, n, na) = (|w| mark(w, YES), |w| mark(w, NO), |w| mark(w, None));
    expect(&[(1, &[y(2), n(1)])], &[Some(6_667)], Some(6_667));
    expect(&[(1, &[y(2), n(1)]), (3, &[y(1)])], &[Some(6_667), YES], Some(9_167));
    expect(&[(1, &[y(2), na(1)]), (3, &[na(1)])], &[YES, None], YES);
    expect(&[(1, &[y(1), failed(1, AutoFail::Section)]), (1, &[y(1)])], &[NO, YES], Some(5_000));
    expect(&[(1, &[y(1), failed(1, AutoFail::Evaluation)]), (1, &[y(1)])], &[Some(5_000), YES], NO);
    expect(&[(1, &[na(1)])], &[None], None);
    expect(&[(1, &[y(7), n(193)])], &[Some(350)], Some(350));
    expect(&[(1, &[y(1), n(799)])], &[Some(13)], Some(13));
    let third: &[_] = &[y(1), n(2)];
    expect(&[(1, third), (1, third), (1, third)], &[Some(3_333); 3], Some(3_333));
    expect(&[(1, third), (2, &[y(2), n(1)])], &[Some(3_333), Some(6_667)], Some(5_556));
}

#[test]
fn nothing_at_all_has_no_score() {
    assert_eq!(score(&[]), Totals { sections: vec![], overall: None });
}

/// The largest scorecard there may be, with denominators that share nothing: no overflow, and the result is still exact.
#[test]
fn a_hundred_sections_with_unlike_denominators() {
    let sections: Vec<_> = (0..100)
        .map(|s| SectionMarks { weight: 1_000 - s, criteria: vec![mark(997 - s, YES), mark(1_000, NO)] })
        .collect();
    assert_eq!(score(&sections), reference(&sections));
}

/// Brute force: everything over one common denominator, in whole numbers, by schoolbook arithmetic; shares no code with the module.
fn reference(sections: &[SectionMarks]) -> Totals {
    let mut shown = Vec::new();
    let (mut numerator, mut denominator) = (BigInt::from(0), BigInt::from(1));
    let (mut weights, mut evaluation_failed) = (BigInt::from(0), false);
    for section in sections {
        let applicable: Vec<_> = section.criteria.iter().filter(|c| c.value.is_some()).collect();
        evaluation_failed |= section.criteria.iter().any(|c| c.failed == AutoFail::Evaluation);
        let bottom: u64 = applicable.iter().map(|c| u64::from(c.weight) * 10_000).sum();
        if bottom == 0 {
            shown.push(None);
            continue;
        }
        let mut top: u64 = applicable.iter().map(|c| u64::from(c.weight) * u64::from(c.value.unwrap())).sum();
        if section.criteria.iter().any(|c| c.failed == AutoFail::Section) {
            top = 0;
        }
        shown.push(Some(half_up(&BigInt::from(top), &BigInt::from(bottom))));
        numerator = numerator * bottom + BigInt::from(section.weight) * top * &denominator;
        denominator *= bottom;
        weights += section.weight;
    }
    if weights == BigInt::from(0) {
        return Totals { sections: shown, overall: None };
    }
    let overall = if evaluation_failed { 0 } else { half_up(&numerator, &(denominator * weights)) };
    Totals { sections: shown, overall: Some(overall) }
}

/// The number of hundredths that is nearest; of two equally near the larger. By long division.
fn half_up(top: &BigInt, bottom: &BigInt) -> u32 {
    let scaled = top * 10_000;
    let (whole, rest): (BigInt, BigInt) = (&scaled / bottom, &scaled % bottom);
    let up = u32::from(rest * 2 >= *bottom);
    whole.to_u32().unwrap() + up
}

fn auto_fail() -> impl Strategy<Value = AutoFail> {
    prop_oneof![4 => Just(AutoFail::None), 1 => Just(AutoFail::Section), 1 => Just(AutoFail::Evaluation)]
}

fn criterion() -> impl Strategy<Value = CriterionMark> {
    let value = prop_oneof![3 => Just(YES), 3 => Just(NO), 2 => Just(None), 2 => (0u32..=10_000).prop_map(Some)];
    (1u32..=1_000, value, auto_fail()).prop_map(|(weight, value, kind)| CriterionMark {
        weight,
        value,
        failed: if value == NO { kind } else { AutoFail::None },
    })
}

fn scorecard() -> impl Strategy<Value = Vec<SectionMarks>> {
    let section = (1u32..=1_000, prop::collection::vec(criterion(), 1..8))
        .prop_map(|(weight, criteria)| SectionMarks { weight, criteria });
    prop::collection::vec(section, 1..8)
}

fn rank(score: Option<u32>) -> i64 {
    score.map_or(-1, i64::from)
}

proptest! {
    #[test]
    fn agrees_with_the_reference(sections in scorecard()) {
        prop_assert_eq!(score(&sections), reference(&sections));
    }

    #[test]
    fn stays_between_the_worst_and_the_best_section(sections in scorecard()) {
        let found = score(&sections);
        let scores: Vec<u32> = found.sections.iter().flatten().copied().collect();
        prop_assert!(scores.iter().all(|score| *score <= FULL_SCORE));
        let failed = sections.iter().flat_map(|s| &s.criteria).any(|c| c.failed == AutoFail::Evaluation);
        match (scores.iter().min(), scores.iter().max()) {
            (Some(least), Some(most)) if !failed => {
                let overall = found.overall.unwrap();
                prop_assert!((*least..=*most).contains(&overall));
            }
            (Some(_), _) => prop_assert_eq!(found.overall, NO),
            _ => prop_assert_eq!(found.overall, None),
        }
    }

    /// A criterion without a value, anywhere and of any weight, changes nothing.
    #[test]
    fn not_applicable_is_neutral(sections in scorecard(), at in any::<prop::sample::Index>(), weight in 1u32..=1_000) {
        let before = score(&sections);
        let mut after = sections.clone();
        let section = at.index(after.len());
        after[section].criteria.push(mark(weight, None));
        prop_assert_eq!(score(&after), before.clone());
        after.push(SectionMarks { weight, criteria: vec![mark(weight, None)] });
        prop_assert_eq!(score(&after).overall, before.overall);
    }

    #[test]
    fn the_order_does_not_matter(sections in scorecard(), turn in 0usize..8) {
        let before = score(&sections);
        let mut after = sections.clone();
        let turns = turn % after.len();
        after.rotate_left(turns);
        for section in &mut after {
            section.criteria.reverse();
        }
        let mut moved = before.sections.clone();
        moved.rotate_left(turns);
        let found = score(&after);
        prop_assert_eq!(found.overall, before.overall);
        prop_assert_eq!(found.sections, moved);
    }

    /// Equal shares, whatever the numbers that spell them.
    #[test]
    fn only_the_proportion_of_weights_matters(sections in scorecard(), factor in 2u32..50) {
        let scaled: Vec<_> = sections.iter().map(|section| SectionMarks {
            weight: section.weight * factor,
            criteria: section.criteria.iter().map(|c| CriterionMark { weight: c.weight * factor, ..*c }).collect(),
        }).collect();
        prop_assert_eq!(score(&scaled), score(&sections));
    }

    /// A "no" that becomes a "yes" never lowers a score.
    #[test]
    fn a_better_answer_never_lowers_a_score(sections in scorecard(), s in any::<prop::sample::Index>(), c in any::<prop::sample::Index>()) {
        let before = score(&sections);
        let mut after = sections.clone();
        let s = s.index(after.len());
        let c = c.index(after[s].criteria.len());
        let mark = &mut after[s].criteria[c];
        prop_assume!(mark.value.is_some());
        *mark = CriterionMark { value: YES, failed: AutoFail::None, ..*mark };
        let after = score(&after);
        prop_assert!(rank(after.overall) >= rank(before.overall));
        prop_assert!(rank(after.sections[s]) >= rank(before.sections[s]));
    }
}
