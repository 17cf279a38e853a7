use proptest::prelude::*;

use super::*;

/// The table of worked examples in the documentation, as it is printed.
const DOCUMENT: &str = include_str!("../../../../docs/SCORING.md");

fn auto_fail_of(word: &str) -> (&str, AutoFail) {
    for (suffix, kind) in [("(section)", AutoFail::Section), ("(evaluation)", AutoFail::Evaluation)] {
        if let Some(word) = word.strip_suffix(suffix) {
            return (word, kind);
        }
    }
    (word, AutoFail::None)
}

/// `2×yes`, `1×-50(section)`, or with points `8/10`; `n/a` has no worth.
fn mark_of(word: &str) -> CriterionMark {
    let (word, failed) = auto_fail_of(word);
    let mark = if let Some((weight, worth)) = word.split_once('×') {
        let worth = match worth {
            "yes" => Some(100),
            "no" => Some(0),
            "n/a" => None,
            percent => Some(percent.parse().unwrap()),
        };
        CriterionMark::weighed(weight.parse().unwrap(), worth)
    } else {
        let (worth, most) = word.rsplit_once('/').unwrap();
        CriterionMark::points(most.parse().unwrap(), if worth == "n/a" { None } else { Some(worth.parse().unwrap()) })
    };
    mark.failing(failed)
}

/// `3: 1×yes 2×no`; with points `8/10 5/5`.
fn section_of(text: &str) -> SectionMarks {
    let (weight, criteria) = match text.split_once(": ") {
        Some((weight, criteria)) => (Some(weight.trim().parse().unwrap()), criteria),
        None => (None, text),
    };
    SectionMarks { weight, criteria: criteria.split_whitespace().map(mark_of).collect() }
}

fn hundredths(text: &str) -> Option<u32> {
    let text = text.trim();
    (text != "none").then(|| (text.parse::<f64>().unwrap() * 100.0).round() as u32)
}

#[test]
fn worked_examples_of_the_documentation() {
    let mut rows = 0;
    for line in DOCUMENT.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", "weights" | "points", sections, each, overall, _, ""] = cells[..] else { continue };
        let marks: Vec<_> = sections.split(" · ").map(section_of).collect();
        let expected = Totals { sections: each.split(',').map(hundredths).collect(), overall: hundredths(overall) };
        assert_eq!(score(&marks), expected, "{line}");
        rows += 1;
    }
    assert!(rows >= 20, "the document shows {rows} examples");
}

#[test]
fn nothing_at_all_has_no_score() {
    assert_eq!(score(&[]), Totals { sections: vec![], overall: None });
}

#[test]
fn what_is_shown_of_a_criterion_stays_within_0_and_100() {
    let weighed = |percent| CriterionMark::weighed(7, Some(percent)).shown();
    assert_eq!([weighed(100), weighed(33), weighed(0), weighed(-50)], [Some(10_000), Some(3_300), Some(0), Some(0)]);
    assert_eq!([weighed(250), weighed(-250)], [Some(10_000), Some(0)], "beyond the bounds");
    let points = |most, points| CriterionMark::points(most, Some(points)).shown();
    assert_eq!([points(3, 1), points(3, 2), points(3, -3)], [Some(3_333), Some(6_667), Some(0)]);
    assert_eq!([points(0, 0), points(0, -5)], [Some(10_000), Some(0)], "it can only take points away");
    assert_eq!(CriterionMark::points(3, None).shown(), None);
    assert_eq!(CriterionMark::scored(9, Some(4_200)).shown(), Some(4_200));
}

#[test]
fn worth_beyond_a_hundred_percent_is_cut() {
    let one =
        |percent| score(&[SectionMarks { weight: Some(1), criteria: vec![mark(1, percent), mark(1, 0)] }]).overall;
    assert_eq!((one(100), one(180)), (Some(5_000), Some(5_000)));
    let minus = |percent| score(&[SectionMarks { weight: Some(1), criteria: vec![mark(1, percent), mark(1, 100)] }]);
    assert_eq!(minus(-100).overall, minus(-180).overall);
}

/// The largest scorecard there may be, with denominators that share nothing: no overflow, and the result is still exact.
#[test]
fn a_hundred_sections_with_unlike_denominators() {
    let sections: Vec<_> = (0..100)
        .map(|s| SectionMarks { weight: Some(1_000 - s), criteria: vec![mark(997 - s, 100), mark(1_000, -1)] })
        .collect();
    assert_eq!(score(&sections), reference(&sections));
    let points: Vec<_> = (0..100)
        .map(|s| SectionMarks {
            weight: None,
            criteria: vec![CriterionMark::points(50_000 - s, Some(7)), CriterionMark::points(0, Some(-1_000))],
        })
        .collect();
    assert_eq!(score(&points), reference(&points));
}

fn mark(weight: u32, percent: i32) -> CriterionMark {
    CriterionMark::weighed(weight, Some(percent))
}

/// Brute force: everything over one common denominator, in whole numbers, by schoolbook arithmetic; shares no code with the module.
fn reference(sections: &[SectionMarks]) -> Totals {
    let mut shown = Vec::new();
    let (mut numerator, mut denominator) = (BigInt::from(0), BigInt::from(1));
    let (mut weights, mut evaluation_failed) = (BigInt::from(0), false);
    for section in sections {
        let applicable: Vec<_> = section.criteria.iter().filter(|c| c.earned.is_some()).collect();
        evaluation_failed |= section.criteria.iter().any(|c| c.failed == AutoFail::Evaluation);
        let mut shares: i64 = applicable.iter().map(|c| i64::from(c.share)).sum();
        let section_failed = section.criteria.iter().any(|c| c.failed == AutoFail::Section);
        if shares == 0 && section_failed {
            // Nothing but what failed it: all that it could have earned is lost.
            shown.push(Some(0));
            shares = section.criteria.iter().map(|c| i64::from(c.share)).sum();
            weights += section.weight.map_or(shares, i64::from);
            continue;
        }
        if shares == 0 {
            shown.push(None);
            continue;
        }
        let bottom = shares * 10_000;
        let mut top: i64 = applicable.iter().map(|c| c.earned.unwrap()).sum();
        top = top.clamp(0, bottom);
        if section_failed {
            top = 0;
        }
        shown.push(Some(half_up(&BigInt::from(top), &BigInt::from(bottom))));
        let weight = section.weight.map_or(shares, i64::from);
        numerator = numerator * bottom + BigInt::from(weight) * top * &denominator;
        denominator *= bottom;
        weights += weight;
    }
    let overall = match () {
        () if evaluation_failed => Some(0),
        () if weights == BigInt::from(0) => shown.iter().flatten().next().map(|_| 0),
        () => Some(half_up(&numerator, &(denominator * weights))),
    };
    Totals { sections: shown, overall }
}

/// The number of hundredths that is nearest; of two equally near the larger. By long division.
fn half_up(top: &BigInt, bottom: &BigInt) -> u32 {
    let scaled = top * 10_000;
    let (whole, rest): (BigInt, BigInt) = (&scaled / bottom, &scaled % bottom);
    let up = u32::from(rest * 2 >= *bottom);
    whole.to_u32().unwrap() + up
}

fn auto_fail() -> impl Strategy<Value = AutoFail> {
    prop_oneof![6 => Just(AutoFail::None), 1 => Just(AutoFail::Section), 1 => Just(AutoFail::Evaluation)]
}

fn criterion(points: bool) -> impl Strategy<Value = CriterionMark> {
    let worth =
        prop_oneof![3 => Just(Some(100)), 3 => Just(Some(0)), 2 => Just(None), 3 => (-100i32..=100).prop_map(Some)];
    let share = prop_oneof![1 => Just(0), 4 => 0u32..=1_000];
    (share, worth, auto_fail()).prop_map(move |(share, worth, kind)| {
        let mark = match points {
            // Nothing is worth more than the most.
            true => CriterionMark::points(share, worth.map(|worth| worth.min(i32::try_from(share).unwrap()))),
            false => CriterionMark::weighed(share.max(1), worth),
        };
        mark.failing(if worth.is_some_and(|worth| worth <= 0) { kind } else { AutoFail::None })
    })
}

fn scorecard() -> impl Strategy<Value = Vec<SectionMarks>> {
    any::<bool>().prop_flat_map(|points| {
        let section = (1u32..=1_000, prop::collection::vec(criterion(points), 1..8))
            .prop_map(move |(weight, criteria)| SectionMarks { weight: (!points).then_some(weight), criteria });
        prop::collection::vec(section, 1..8)
    })
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
            _ if failed => prop_assert_eq!(found.overall, Some(0)),
            (Some(least), Some(most)) => {
                let overall = found.overall.unwrap();
                prop_assert!((*least..=*most).contains(&overall));
            }
            _ => prop_assert_eq!(found.overall, None),
        }
    }

    /// A criterion without a worth, anywhere and of any share, changes nothing: but for a failed section in which nothing else counts, which weighs what
    /// all its criteria could have earned.
    #[test]
    fn not_applicable_is_neutral(sections in scorecard(), at in any::<prop::sample::Index>(), weight in 1u32..=1_000) {
        let before = score(&sections);
        let mut after = sections.clone();
        let section = at.index(after.len());
        let counts = |mark: &CriterionMark| mark.earned.is_some() && mark.share > 0;
        if after[section].criteria.iter().any(counts) || after[section].criteria.iter().all(|mark| mark.failed != AutoFail::Section) {
            after[section].criteria.push(CriterionMark::weighed(weight, None));
        }
        prop_assert_eq!(score(&after), before.clone());
        let weight = sections[0].weight.map(|_| weight);
        after.push(SectionMarks { weight, criteria: vec![CriterionMark::points(5, None)] });
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
    fn only_the_proportion_of_shares_matters(sections in scorecard(), factor in 2u32..50) {
        let scaled: Vec<_> = sections.iter().map(|section| SectionMarks {
            weight: section.weight.map(|weight| weight * factor),
            criteria: section.criteria.iter().map(|c| CriterionMark {
                share: c.share * factor,
                earned: c.earned.map(|earned| earned * i64::from(factor)),
                failed: c.failed,
            }).collect(),
        }).collect();
        prop_assert_eq!(score(&scaled), score(&sections));
    }

    /// An answer that is worth more, or fails less, never lowers a score.
    #[test]
    fn a_better_answer_never_lowers_a_score(
        sections in scorecard(), s in any::<prop::sample::Index>(), c in any::<prop::sample::Index>(), more in 0i64..=5_000_000
    ) {
        let before = score(&sections);
        let mut after = sections.clone();
        let s = s.index(after.len());
        let c = c.index(after[s].criteria.len());
        let mark = &mut after[s].criteria[c];
        prop_assume!(mark.earned.is_some());
        let failed = mark.failed != AutoFail::None;
        *mark = CriterionMark { earned: mark.earned.map(|earned| earned + more), failed: AutoFail::None, ..*mark };
        let after = score(&after);
        // What failed is 0 even when nothing else counts; without the failure there is no score then.
        let not_lower = |before: Option<u32>, after| rank(after) >= rank(before) || failed && before == Some(0);
        prop_assert!(not_lower(before.overall, after.overall));
        prop_assert!(not_lower(before.sections[s], after.sections[s]));
    }

    /// With points and nothing below 0, the sections do not matter: what was earned over what could have been.
    #[test]
    fn points_add_up_over_all_sections(sections in scorecard()) {
        let plain: Vec<_> = sections.iter().map(|section| SectionMarks {
            weight: None,
            criteria: section.criteria.iter().map(|mark| CriterionMark {
                earned: mark.earned.map(|earned| earned.clamp(0, i64::from(mark.share) * PARTS)),
                failed: AutoFail::None,
                ..*mark
            }).collect(),
        }).collect();
        let whole = SectionMarks { weight: None, criteria: plain.iter().flat_map(|section| section.criteria.clone()).collect() };
        prop_assert_eq!(score(&plain).overall, score(&[whole]).overall);
    }
}
