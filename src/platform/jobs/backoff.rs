//! How long a failed job waits.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Exponential with jitter: attempt 1 waits about 2 s, each further one twice as long, at most 15 minutes, minus up to a quarter.
/// `jitter` is a random number in `0..1`. The other side's `at_least` is kept.
pub fn delay(attempt: i16, jitter: f64, at_least: Option<Duration>) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1).clamp(0, 20)).unwrap_or(0);
    let full = FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
    full.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0)).max(at_least.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_ceiling() {
        assert_eq!(delay(1, 0.0, None), Duration::from_secs(2));
        assert_eq!(delay(2, 0.0, None), Duration::from_secs(4));
        assert_eq!(delay(4, 1.0, None), Duration::from_secs(12));
        assert_eq!(delay(30, 0.0, None), LONGEST);
        assert_eq!(delay(i16::MIN, 0.0, None), FIRST);
    }

    #[test]
    fn waits_as_long_as_it_was_told() {
        assert_eq!(delay(1, 0.0, Some(Duration::from_secs(300))), Duration::from_secs(300));
    }
}
