//! Whole numbers of any size: as little of them as the arithmetic needs. A library for them would be half of the component.

use std::{cmp::Ordering, iter};

/// A whole number that is not negative: digits to the base 2⁶⁴, the lowest first, the highest not 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole(Vec<u64>);

impl From<u64> for Whole {
    fn from(small: u64) -> Self {
        Self(iter::once(small).filter(|digit| *digit > 0).collect())
    }
}

impl Whole {
    /// The product with a small number.
    pub fn times(&self, small: u64) -> Self {
        let mut carry = 0u128;
        let mut digits: Vec<u64> = Vec::with_capacity(self.0.len() + 1);
        for digit in &self.0 {
            let product = u128::from(*digit) * u128::from(small) + carry;
            digits.push(product as u64);
            carry = product >> 64;
        }
        digits.push(carry as u64);
        Self::trimmed(digits)
    }

    /// The sum.
    pub fn plus(&self, other: &Self) -> Self {
        let mut carry = false;
        let length = self.0.len().max(other.0.len());
        let mut digits: Vec<u64> = Vec::with_capacity(length + 1);
        for place in 0..length {
            let [a, b] = [self, other].map(|number| number.0.get(place).copied().unwrap_or(0));
            let (sum, over) = a.overflowing_add(b);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            digits.push(sum);
            carry = over || over_again;
        }
        digits.push(u64::from(carry));
        Self::trimmed(digits)
    }

    /// How often `part` goes into this number, if that is at most `most`; else `most`. `part` is not 0.
    pub fn contains(&self, part: &Self, most: u32) -> u32 {
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = high - (high - low) / 2;
            if part.times(u64::from(middle)).at_most(self) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }

    fn at_most(&self, other: &Self) -> bool {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())) != Ordering::Greater
    }

    fn trimmed(mut digits: Vec<u64>) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(number: u128) -> Whole {
        Whole::trimmed(vec![number as u64, (number >> 64) as u64])
    }

    #[test]
    fn sums_and_products_carry() {
        let max = u128::from(u64::MAX);
        assert_eq!(from(max).plus(&from(1)), from(1 << 64));
        assert_eq!(from(1).plus(&from(u128::MAX)), Whole(vec![0, 0, 1]));
        assert_eq!(from(max).times(u64::MAX), from(max * max));
        assert_eq!(from(u128::MAX).times(2), Whole(vec![u64::MAX - 1, u64::MAX, 1]));
        assert_eq!(from(77).times(0), Whole::from(0));
        assert_eq!(Whole::from(0).plus(&Whole::from(5)), Whole::from(5));
    }

    #[test]
    fn how_often_a_part_goes_in() {
        let billions = from(1_000_000_000_000_000_000_000_000_000_000);
        for times in [0, 1, 2, 4_999, 9_999, 10_000] {
            let exactly = billions.times(times);
            assert_eq!(exactly.contains(&billions, 10_000), times as u32);
            assert_eq!(exactly.plus(&from(1)).contains(&billions, 10_000), times as u32);
            assert_eq!(exactly.plus(&from(999)).contains(&billions, 10_000), times as u32);
        }
        assert_eq!(billions.times(10_001).contains(&billions, 10_000), 10_000);
        assert_eq!(from(u128::MAX).contains(&from(1 << 127), 10), 1);
    }
}
