//! The arithmetic of scores. Pure, exact, and rounded once.
//!
//! * A criterion has a share: its weight, or with points the most points that it can be worth. Of its share it earns a part, all, or less than
//!   nothing. A criterion that is not applicable, unverified, pending or unscored has neither: it leaves the denominator.
//! * A section's score is Σ earned / Σ share over its criteria that count, at least 0 and at most 1; it has none when all shares together are 0,
//!   unless a criterion failed it: then it is 0.
//! * The overall score is the mean of the sections' scores, weighed by the sections' weights; with points by the shares that counted.
//! * Auto-fails, in this order: first a failed criterion of kind *section* makes its section 0, and the overall score is made of that 0;
//!   then a failed criterion of kind *evaluation* makes the overall score 0 (its section keeps its own score).
//! * All of that is computed in exact fractions. Only what is shown is rounded: half up, to hundredths of a point of 0–100.
//!
//! The worked examples are in `docs/SCORING.md`; a test holds that table against this code.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use crate::platform::plugins::{AutoFail, FULL_SCORE};

/// Parts of a share: what is earned is counted in them, so that percentages and hundredths of a percent are whole.
const PARTS: i64 = 10_000;

/// A section with what was found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionMarks {
    /// Its share among the sections; none with points, where the points that counted are its share.
    pub weight: Option<u32>,
    /// Its criteria.
    pub criteria: Vec<CriterionMark>,
}

/// A criterion with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CriterionMark {
    /// Its share in the section.
    share: u32,
    /// What it earned, in ten-thousandths of one share; none leaves the denominator.
    earned: Option<i64>,
    /// What fails with it, if it failed.
    failed: AutoFail,
}

impl CriterionMark {
    /// Of a weight, by a percentage from −100 to 100; what lies beyond is cut.
    pub fn weighed(weight: u32, percent: Option<i32>) -> Self {
        let part = |percent: i32| i64::from(percent.clamp(-100, 100)) * (PARTS / 100);
        Self { share: weight, earned: percent.map(|percent| i64::from(weight) * part(percent)), failed: AutoFail::None }
    }

    /// By points, of the most that there can be.
    pub fn points(most: u32, points: Option<i32>) -> Self {
        Self { share: most, earned: points.map(|points| i64::from(points) * PARTS), failed: AutoFail::None }
    }

    /// Of a share, by a score in hundredths of a percent: 0..=10000.
    pub fn scored(share: u32, score: Option<u32>) -> Self {
        let earned = score.map(|score| i64::from(share) * i64::from(score.min(FULL_SCORE)));
        Self { share, earned, failed: AutoFail::None }
    }

    /// The same criterion, failed: with it fails what its auto-fail names.
    #[must_use]
    pub fn failing(self, what: AutoFail) -> Self {
        Self { failed: what, ..self }
    }

    /// What is shown of it: the part of its share that it earned, in hundredths of a percent from 0 to 10000; none where it does not count. Of
    /// a criterion that can earn nothing: all, unless it takes points away.
    pub fn shown(&self) -> Option<u32> {
        let earned = self.earned?;
        if self.share == 0 {
            return Some(if earned < 0 { 0 } else { FULL_SCORE });
        }
        Some(rounded(&bounded(BigRational::new(BigInt::from(earned), BigInt::from(i64::from(self.share) * PARTS)))))
    }
}

/// What the marks come to, in hundredths of a point: 0..=10000, none where nothing was applicable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// A score for each section, in order.
    pub sections: Vec<Option<u32>>,
    /// The overall score.
    pub overall: Option<u32>,
}

/// Scores sections and the whole.
pub fn score(sections: &[SectionMarks]) -> Totals {
    let exact: Vec<Option<(BigInt, BigRational)>> = sections.iter().map(section).collect();
    let (mut sum, mut weights) = (BigRational::zero(), BigInt::zero());
    for (weight, score) in exact.iter().flatten() {
        sum += score * weight;
        weights += weight;
    }
    let failed = sections.iter().flat_map(|section| &section.criteria).any(|mark| mark.failed == AutoFail::Evaluation);
    let overall = match weights.is_zero() {
        false => Some(sum / weights),
        // Nothing weighs anything: failed sections are all that there is, or there is nothing at all.
        true => exact.iter().any(Option::is_some).then(BigRational::zero),
    };
    Totals {
        sections: exact.iter().map(|score| score.as_ref().map(|(_, score)| rounded(score))).collect(),
        overall: if failed { Some(0) } else { overall.as_ref().map(rounded) },
    }
}

/// A section's weight and its exact score, from 0 to 1.
fn section(section: &SectionMarks) -> Option<(BigInt, BigRational)> {
    let counting = section.criteria.iter().filter_map(|mark| Some((mark.share, mark.earned?)));
    // At most 200 criteria of 50,000 points: 64 bits hold far more.
    let (share, earned) =
        counting.fold((0i64, 0i64), |(shares, all), (share, earned)| (shares + i64::from(share), all + earned));
    let failed = section.criteria.iter().any(|mark| mark.failed == AutoFail::Section);
    // What fails its section fails it also when nothing else in it counts. Of points the section then loses all that it could ever have earned.
    let share = match share {
        0 if !failed => return None,
        0 => section.criteria.iter().map(|mark| i64::from(mark.share)).sum(),
        share => share,
    };
    if share == 0 {
        return Some((section.weight.map_or_else(BigInt::zero, BigInt::from), BigRational::zero()));
    }
    let score = BigRational::new(BigInt::from(earned), BigInt::from(share) * PARTS);
    let score = if failed { BigRational::zero() } else { bounded(score) };
    Some((section.weight.map_or_else(|| BigInt::from(share), BigInt::from), score))
}

fn bounded(score: BigRational) -> BigRational {
    if score.is_negative() { BigRational::zero() } else { score.min(BigRational::one()) }
}

/// From 0..=1 to hundredths of a point, half up: ⌊20000 · score + 1⌋ / 2 in whole numbers.
fn rounded(score: &BigRational) -> u32 {
    let doubled = score.numer() * BigInt::from(2 * u64::from(FULL_SCORE)) + score.denom();
    let hundredths: BigInt = doubled / (score.denom() * BigInt::from(2));
    hundredths.to_u32().unwrap_or(FULL_SCORE).min(FULL_SCORE)
}

#[cfg(test)]
mod tests;
