//! How far answers agree with labels: counts, shares with their uncertainty, and agreement beyond chance. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

/// The 97.5th percentile of the normal distribution: two-sided 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A share with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// From 0 to 1 (kappa from −1 to 1).
    pub value: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end of the 95 % interval.
    pub high: f64,
    /// Of how many.
    pub n: usize,
}

/// What the answers to one criterion are worth against labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// How many conversations have a label for it.
    pub n: usize,
    /// Equal to the label, of all that have one. What was not answered is not equal to anything.
    pub accuracy: Option<Share>,
    /// Labelled `yes`, of those answered `yes`. None where nothing was answered so, and for criteria that know no yes.
    pub precision: Option<Share>,
    /// Answered `yes`, of those labelled `yes`. None where nothing is labelled so.
    pub recall: Option<Share>,
    /// Cohen's kappa: agreement beyond what the shares of the answers would give by chance. None when chance alone would be perfect.
    pub kappa: Option<Share>,
}

/// Compares pairs of (answer, label).
pub fn agreement(pairs: &[(&str, &str)]) -> Agreement {
    let count = |wanted: &dyn Fn(&str, &str) -> bool| pairs.iter().filter(|(a, l)| wanted(a, l)).count();
    let both = count(&|answer, label| answer == "yes" && label == "yes");
    Agreement {
        n: pairs.len(),
        accuracy: share(count(&|answer, label| answer == label), pairs.len()),
        precision: share(both, count(&|answer, _| answer == "yes")),
        recall: share(both, count(&|_, label| label == "yes")),
        kappa: kappa(pairs),
    }
}

/// A share with Wilson's score interval (Wilson 1927), which stays within 0 to 1 and holds for small numbers and shares near the ends.
pub fn share(of: usize, n: usize) -> Option<Share> {
    if n == 0 {
        return None;
    }
    let (count, value) = (n as f64, of as f64 / n as f64);
    let z2 = Z * Z;
    let centre = (value + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let half = Z * (value * (1.0 - value) / count + z2 / (4.0 * count * count)).sqrt() / (1.0 + z2 / count);
    // At the ends the interval touches them exactly; the arithmetic would miss by an ulp.
    let low = if of == 0 { 0.0 } else { centre - half };
    let high = if of == n { 1.0 } else { centre + half };
    Some(Share { value, low, high, n })
}

/// Cohen's kappa (Cohen 1960) with the large-sample standard error of Fleiss, Cohen and Everitt (1969), formula for an interval.
fn kappa(pairs: &[(&str, &str)]) -> Option<Share> {
    let n = pairs.len() as f64;
    let (mut cells, mut rows, mut columns) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (answer, label) in pairs {
        *cells.entry((*answer, *label)).or_insert(0.0) += 1.0 / n;
        *rows.entry(*answer).or_insert(0.0) += 1.0 / n;
        *columns.entry(*label).or_insert(0.0) += 1.0 / n;
    }
    let row = |word: &str| rows.get(word).copied().unwrap_or(0.0);
    let column = |word: &str| columns.get(word).copied().unwrap_or(0.0);
    let observed: f64 = cells.iter().filter(|((answer, label), _)| answer == label).map(|(_, share)| share).sum();
    let chance: f64 = rows.iter().map(|(word, share)| share * column(word)).sum();
    if pairs.is_empty() || chance >= 1.0 - 1e-12 {
        return None;
    }
    let value = (observed - chance) / (1.0 - chance);
    let diagonal: f64 = rows
        .keys()
        .map(|word| {
            let share = cells.get(&(*word, *word)).copied().unwrap_or(0.0);
            share * (1.0 - (row(word) + column(word)) * (1.0 - value)).powi(2)
        })
        .sum();
    let beside: f64 = cells
        .iter()
        .filter(|((answer, label), _)| answer != label)
        .map(|((answer, label), share)| share * (column(answer) + row(label)).powi(2))
        .sum();
    let rest = (value - chance * (1.0 - value)).powi(2);
    let variance = (diagonal + (1.0 - value).powi(2) * beside - rest) / (n * (1.0 - chance).powi(2));
    let half = Z * variance.max(0.0).sqrt();
    Some(Share { value, low: (value - half).max(-1.0), high: (value + half).min(1.0), n: pairs.len() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(table: &[(&'static str, &'static str, usize)]) -> Vec<(&'static str, &'static str)> {
        table.iter().flat_map(|(answer, label, count)| std::iter::repeat_n((*answer, *label), *count)).collect()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 5e-4, "{found} is not {expected}");
    }

    /// The example of Cohen's kappa that statistics courses use: 50 grant proposals, 20 and 15 agreed on.
    #[test]
    fn a_known_table_gives_the_known_kappa() {
        let pairs = pairs(&[("yes", "yes", 20), ("yes", "no", 5), ("no", "yes", 10), ("no", "no", 15)]);
        let found = agreement(&pairs);
        let kappa = found.kappa.unwrap();
        close(kappa.value, 0.4);
        close(kappa.low, 0.1511);
        close(kappa.high, 0.6489);
        close(found.accuracy.unwrap().value, 0.7);
        close(found.precision.unwrap().value, 0.8);
        close(found.recall.unwrap().value, 2.0 / 3.0);
    }

    /// Wilson's interval of 7 in 10, as textbooks have it.
    #[test]
    fn a_known_share_has_the_known_interval() {
        let found = share(7, 10).unwrap();
        close(found.low, 0.3968);
        close(found.high, 0.8922);
        assert_eq!(share(0, 0), None);
        assert_eq!((share(0, 5).unwrap().low, share(5, 5).unwrap().high), (0.0, 1.0));
    }

    #[test]
    fn agreement_by_chance_alone_is_no_kappa() {
        assert_eq!(agreement(&pairs(&[("yes", "yes", 9)])).kappa, None);
        assert_eq!(agreement(&[]), Agreement::default());
        let never = agreement(&pairs(&[("yes", "no", 5), ("no", "yes", 5)]));
        close(never.kappa.unwrap().value, -1.0);
        assert_eq!(never.precision.unwrap().value, 0.0);
    }

    proptest! {
        #[test]
        fn every_share_is_within_its_interval(pairs in prop::collection::vec((0..4usize, 0..4usize), 1..60)) {
            let words = ["yes", "no", "not_applicable", "unanswered"];
            let pairs: Vec<_> = pairs.into_iter().map(|(a, l)| (words[a], words[l])).collect();
            let found = agreement(&pairs);
            for share in [found.accuracy, found.precision, found.recall, found.kappa].into_iter().flatten() {
                prop_assert!(share.low <= share.value + 1e-12 && share.value <= share.high + 1e-12, "{share:?}");
                prop_assert!(share.low >= -1.0 && share.high <= 1.0, "{share:?}");
            }
        }
    }
}
