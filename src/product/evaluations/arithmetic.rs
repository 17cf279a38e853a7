//! The arithmetic of scores. Pure, exact, and rounded once.
//!
//! * A criterion has a value from 0 to 1 (a "yes" is 1, a "no" is 0), or none: "not applicable" and "unverified" leave the denominator.
//! * A section's score is Σ weight · value / Σ weight over its criteria that have a value; it has none when no criterion has one.
//! * The overall score is Σ section weight · section score / Σ section weight over the sections that have a score.
//! * Auto-fails, in this order: first a failed criterion of kind *section* makes its section 0, and the overall score is made of that 0;
//!   then a failed criterion of kind *evaluation* makes the overall score 0 (its section keeps its own score).
//! * All of that is computed in exact fractions. Only what is shown is rounded: half up, to hundredths of a point of 0–100.
//!
//! # Worked examples
//! | sections (weight: criteria as weight×verdict) | sections | overall |
//! |---|---|---|
//! | 1: 2×yes 1×no | 66.67 | 66.67 |
//! | 1: 2×yes 1×no · 3: 1×yes | 66.67, 100 | (2/3 + 3) / 4 = 91.67 |
//! | 1: 2×yes 1×n/a · 3: 1×n/a | 100, none | 100: the second section has no denominator |
//! | 1: 1×yes 1×no(section) · 1: 1×yes | 0, 100 | 50 |
//! | 1: 1×yes 1×no(evaluation) · 1: 1×yes | 50, 100 | 0 |
//! | 1: 1×n/a | none | none |
//! | 1: 7×yes 193×no (3.5 %) | 3.5 | 3.5 |
//! | 1: 1×yes 799×no (0.125 %) | 0.13 | 0.13: half is rounded up |
//! | 1: 1×yes 2×no · 1: 1×yes 2×no · 1: 1×yes 2×no | 33.33 each | 33.33 |
//!
//! Rounding sections first would give another overall score: 1: 1×yes 2×no · 2: 2×yes 1×no is 5/9 = 55.56, and the rounded sections
//! (33.33 and 66.67) would give the same only by luck.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};

use crate::platform::plugins::{AutoFail, FULL_SCORE};

/// A section with what was found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionMarks {
    /// Its share among the sections.
    pub weight: u32,
    /// Its criteria.
    pub criteria: Vec<CriterionMark>,
}

/// A criterion with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CriterionMark {
    /// Its share in the section.
    pub weight: u32,
    /// Its value in hundredths of a point, 0..=10000; none leaves the denominator.
    pub value: Option<u32>,
    /// What fails with it, if it failed.
    pub failed: AutoFail,
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
    let exact: Vec<Option<BigRational>> = sections.iter().map(section).collect();
    let weighted = sections.iter().zip(&exact).filter_map(|(section, score)| Some((section.weight, score.clone()?)));
    let failed = sections.iter().flat_map(|section| &section.criteria).any(|mark| mark.failed == AutoFail::Evaluation);
    let overall = mean(weighted).map(|score| if failed { BigRational::zero() } else { score });
    Totals {
        sections: exact.iter().map(|score| score.as_ref().map(rounded)).collect(),
        overall: overall.as_ref().map(rounded),
    }
}

/// A section's exact score, from 0 to 1.
fn section(section: &SectionMarks) -> Option<BigRational> {
    let full = BigInt::from(FULL_SCORE);
    let values = section
        .criteria
        .iter()
        .filter_map(|mark| Some((mark.weight, BigRational::new(BigInt::from(mark.value?), full.clone()))));
    let score = mean(values)?;
    let failed = section.criteria.iter().any(|mark| mark.failed == AutoFail::Section);
    Some(if failed { BigRational::zero() } else { score })
}

/// Σ weight · value / Σ weight; none when all weights together are 0.
fn mean(values: impl Iterator<Item = (u32, BigRational)>) -> Option<BigRational> {
    let mut sum = BigRational::zero();
    let mut weights = 0u64;
    for (weight, value) in values {
        weights += u64::from(weight);
        if !value.is_zero() {
            sum += value * BigInt::from(weight);
        }
    }
    (weights > 0).then(|| sum / BigInt::from(weights))
}

/// From 0..=1 to hundredths of a point, half up: ⌊20000 · score + 1⌋ / 2 in whole numbers.
fn rounded(score: &BigRational) -> u32 {
    let doubled = score.numer() * BigInt::from(2 * u64::from(FULL_SCORE)) + score.denom();
    let hundredths: BigInt = doubled / (score.denom() * BigInt::from(2));
    hundredths.to_u32().unwrap_or(FULL_SCORE).min(FULL_SCORE)
}

#[cfg(test)]
mod tests;
