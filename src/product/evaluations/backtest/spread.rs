//! How numbers are spread, in little room: quantiles within a few percent, whatever the numbers. No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Places for numbers of one magnitude (from a power of two to the next): a quantile is at most 1.6 % off.
const PLACES: u64 = 32;
const PLACES_BITS: u32 = PLACES.ilog2();

/// Numbers, counted by their magnitude.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// How many are in each place.
    places: BTreeMap<u16, u64>,
    count: u64,
    most: u64,
}

impl Spread {
    /// Counts a number.
    pub fn add(&mut self, number: u64) {
        *self.places.entry(place(number)).or_default() += 1;
        self.count += 1;
        self.most = self.most.max(number);
    }

    /// The number than which that share of all (in percent) is not larger; 0 when there is none.
    pub fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (place, count) in &self.places {
            seen += count;
            if seen >= rank {
                return middle(*place).min(self.most);
            }
        }
        self.most
    }

    /// The largest number; 0 when there is none.
    pub fn most(&self) -> u64 {
        self.most
    }
}

fn place(number: u64) -> u16 {
    if number < PLACES {
        return number as u16; // below 32
    }
    let magnitude = number.ilog2();
    let within = (number >> (magnitude - PLACES_BITS)) - PLACES;
    // At most (63 - 5 + 1) * 32 + 31.
    (u64::from(magnitude - PLACES_BITS + 1) * PLACES + within) as u16
}

fn middle(place: u16) -> u64 {
    let place = u64::from(place);
    if place < PLACES {
        return place;
    }
    let shift = place / PLACES - 1;
    let least = (PLACES + place % PLACES) << shift;
    least + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_near_the_middle_of_its_place() {
        let numbers = (0..64).flat_map(|bit| [0, 1, 7].map(|more| (1_u64 << bit).saturating_add(more << bit >> 3)));
        for number in numbers.chain([0, 31, 32, 33, 63, 64, 1_000, 385_211, u64::MAX]) {
            let middle = middle(place(number));
            assert!(middle.abs_diff(number) as f64 <= number as f64 * 0.016, "{number}: {middle}");
        }
    }

    #[test]
    fn quantiles_of_a_thousand_numbers() {
        let mut spread = Spread::default();
        assert_eq!((spread.percentile(50), spread.most()), (0, 0));
        (1..=1_000).for_each(|number| spread.add(number * 100));
        let near = |percent, expected: u64| spread.percentile(percent).abs_diff(expected) * 1_000 <= expected * 16;
        assert!(near(50, 50_000) && near(95, 95_000) && near(99, 99_000));
        assert_eq!((spread.percentile(100), spread.most()), (spread.percentile(100).min(100_000), 100_000));
        let kept: Spread = serde_json::from_value(serde_json::to_value(&spread).unwrap()).unwrap();
        assert_eq!(kept, spread, "as it is stored");
        let mut equal = Spread::default();
        equal.add(20);
        assert_eq!((equal.percentile(1), equal.percentile(99)), (20, 20));
    }
}
