//! How often and how soon a client asks again by itself. Long waits belong to the job queue, not here.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The retries that a client makes inside one call, in the manner of OpenAI's own clients: few and quick.
///
/// An attempt that ran into its timeout is not repeated here, because it was not quick; the queue repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuickRetries {
    /// Most retries after the first attempt.
    pub most: u32,
    /// Pause before the first retry; it doubles with every further one. Up to a quarter of it is taken off at random.
    pub first_pause: Duration,
    /// Longest pause of our own choice.
    pub longest_pause: Duration,
    /// Longest pause that is waited for when the provider asks for one. A longer wish ends the call at once, and the
    /// error carries the wish to the queue.
    pub longest_asked_pause: Duration,
}

impl Default for QuickRetries {
    fn default() -> Self {
        Self {
            most: 2,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(8),
            longest_asked_pause: Duration::from_secs(120),
        }
    }
}

impl QuickRetries {
    /// The pause before retry `number` (0 is the first), or `None` when there is to be no such retry. `asked` is the
    /// provider's wish and `jitter` a random number from 0 to 1.
    pub fn pause(&self, number: u32, asked: Option<Duration>, jitter: f64) -> Option<Duration> {
        if number >= self.most {
            return None;
        }
        match asked {
            Some(asked) if asked > self.longest_asked_pause => None,
            Some(asked) if !asked.is_zero() => Some(asked),
            _ => {
                let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(number));
                Some(doubled.min(self.longest_pause).mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0)))
            }
        }
    }
}

/// What the headers of an answer say about asking again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// How long to wait (`retry-after-ms`, else `retry-after` in seconds or as a date).
    pub pause: Option<Duration>,
    /// Whether to ask again at all (`x-should-retry`); stronger than the status.
    pub again: Option<bool>,
}

impl Wishes {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let again = match text("x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let pause = text("retry-after-ms").and_then(|value| number(value, 0.001)).or_else(|| {
            text(RETRY_AFTER.as_str()).and_then(|value| number(value, 1.0).or_else(|| until(value, headers)))
        });
        Self { pause, again }
    }
}

/// A duration from a non-negative decimal number.
fn number(value: &str, unit_seconds: f64) -> Option<Duration> {
    let value: f64 = value.parse().ok()?;
    Duration::try_from_secs_f64(value * unit_seconds).ok()
}

/// The time until a date, by the provider's own clock: the `Date` header of the same answer. So neither our clock nor
/// a difference between the two matters.
fn until(date: &str, headers: &HeaderMap) -> Option<Duration> {
    let wanted = DateTime::parse_from_rfc2822(date).ok()?;
    let now = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some((wanted - now).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn wishes(headers: &[(&'static str, &str)]) -> Wishes {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Wishes::read(&map)
    }

    #[test]
    fn a_wish_comes_in_seconds_milliseconds_or_as_a_date() {
        assert_eq!(wishes(&[("retry-after", "2")]).pause, Some(Duration::from_secs(2)));
        assert_eq!(wishes(&[("retry-after", "0.25")]).pause, Some(Duration::from_millis(250)));
        assert_eq!(wishes(&[("retry-after", "9"), ("retry-after-ms", "40")]).pause, Some(Duration::from_millis(40)));
        let dates = [("date", "Mon, 23 Nov 2026 12:00:00 GMT"), ("retry-after", "Mon, 23 Nov 2026 12:05:00 GMT")];
        assert_eq!(wishes(&dates).pause, Some(Duration::from_secs(300)));
        let past = [("date", "Mon, 23 Nov 2026 12:00:00 GMT"), ("retry-after", "Mon, 23 Nov 2026 11:05:00 GMT")];
        assert_eq!(wishes(&past).pause, Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_no_wish() {
        for value in ["", "soon", "-3", "NaN", "inf", "1e300", "Mon, 23 Nov 2026 12:05:00 GMT"] {
            assert_eq!(wishes(&[("retry-after", value)]).pause, None, "{value}");
        }
        assert_eq!(wishes(&[("x-should-retry", "maybe")]).again, None);
        assert_eq!(wishes(&[("x-should-retry", "false")]).again, Some(false));
    }

    #[test]
    fn pauses_double_and_end_and_respect_wishes() {
        let retries = QuickRetries::default();
        assert_eq!(retries.pause(0, None, 0.0), Some(Duration::from_millis(500)));
        assert_eq!(retries.pause(1, None, 0.0), Some(Duration::from_secs(1)));
        assert_eq!(retries.pause(1, None, 1.0), Some(Duration::from_millis(750)));
        assert_eq!(retries.pause(2, None, 0.0), None);
        assert_eq!(retries.pause(0, Some(Duration::ZERO), 0.0), Some(Duration::from_millis(500)));
        assert_eq!(retries.pause(0, Some(Duration::from_secs(120)), 0.5), Some(Duration::from_secs(120)));
        assert_eq!(retries.pause(0, Some(Duration::from_secs(121)), 0.5), None);
    }

    proptest! {
        #[test]
        fn own_pauses_stay_in_their_bounds(number in 0u32..100, jitter in 0.0f64..1.0) {
            let retries = QuickRetries { most: 100, ..QuickRetries::default() };
            let pause = retries.pause(number, None, jitter).unwrap();
            prop_assert!(pause >= Duration::from_millis(375) && pause <= Duration::from_secs(8));
        }
    }
}
