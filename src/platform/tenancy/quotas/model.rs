//! What a tenant may use, what it has used, and whether there is room for more. No I/O.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::words;

const MS_PER_MINUTE: u64 = 60_000;
const SECONDS_PER_DAY: u32 = 86_400;
/// Seconds after which some of the waiting jobs are likely to be done.
const JOBS_RETRY_AFTER_S: u32 = 30;

words! {
    /// What can be limited.
    pub enum QuotaName {
        /// Calls received on one day (UTC).
        CallsPerDay = "calls_per_day",
        /// Minutes of recordings on one day (UTC).
        AudioMinutesPerDay = "audio_minutes_per_day",
        /// Bytes of recordings and plugins that are kept.
        StorageBytes = "storage_bytes",
        /// Plugin versions that are kept.
        Plugins = "plugins",
        /// Jobs that wait or run.
        WaitingJobs = "waiting_jobs",
    }
}

impl QuotaName {
    /// Whether it begins anew at midnight UTC.
    pub fn is_daily(self) -> bool {
        matches!(self, QuotaName::CallsPerDay | QuotaName::AudioMinutesPerDay)
    }
}

/// The limits of one tenant; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    /// Calls received on one day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_day: Option<u64>,
    /// Minutes of recordings on one day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_minutes_per_day: Option<u64>,
    /// Bytes of recordings and plugins that are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<u64>,
    /// Plugin versions that are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugins: Option<u64>,
    /// Jobs that wait or run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_jobs: Option<u64>,
}

/// The stored limits cannot be read: nothing new is taken from the tenant until somebody sets them anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tenant's quotas cannot be read")]
pub struct UnreadableQuotas;

/// What a tenant has used on one day, and in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Calls received on the day.
    pub calls: u64,
    /// Milliseconds of recordings on the day.
    pub audio_ms: u64,
    /// Bytes of recordings and plugins that are kept.
    pub stored_bytes: u64,
    /// Plugin versions that are kept.
    pub plugins: u64,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Calls.
    pub calls: u64,
    /// Milliseconds of a recording, 0 where nobody knows yet; none for what is not recorded.
    pub audio_ms: Option<u64>,
    /// Bytes to be kept.
    pub stored_bytes: u64,
    /// Plugin versions.
    pub plugins: u64,
}

impl Wanted {
    /// A written conversation: no audio, and nothing in the object store.
    pub const WRITTEN: Wanted = Wanted { calls: 1, audio_ms: None, stored_bytes: 0, plugins: 0 };
    /// A recording of which nothing is known yet, but that it has a byte at least.
    pub const RECORDING: Wanted = Wanted { calls: 1, audio_ms: Some(0), stored_bytes: 1, plugins: 0 };
}

/// A quota that has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which.
    pub quota: QuotaName,
    /// How much there may be, in the quota's unit.
    pub limit: u64,
    /// How much there is; milliseconds of audio.
    pub used: u64,
    /// How much more was wanted; milliseconds of audio.
    pub wanted: u64,
    /// Seconds after which it is worth trying again; none where time alone does not help.
    pub retry_after_s: Option<u32>,
}

impl std::error::Error for Exceeded {}

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { quota, limit, used, wanted, .. } = self;
        match quota {
            QuotaName::AudioMinutesPerDay => {
                let (used, wanted) = (hundredths_of_minutes(*used), hundredths_of_minutes(*wanted));
                write!(f, "the quota {quota} is {limit}: {used} are used, {wanted} more were asked for")
            }
            _ => write!(f, "the quota {quota} is {limit}: {used} are used, {wanted} more were asked for"),
        }
    }
}

/// Never rounded down: what is shown as the limit is the limit.
fn hundredths_of_minutes(ms: u64) -> String {
    let hundredths = ms.div_ceil(MS_PER_MINUTE / 100);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

impl Quotas {
    /// The limit of one quota, in its unit.
    pub fn limit(&self, quota: QuotaName) -> Option<u64> {
        match quota {
            QuotaName::CallsPerDay => self.calls_per_day,
            QuotaName::AudioMinutesPerDay => self.audio_minutes_per_day,
            QuotaName::StorageBytes => self.storage_bytes,
            QuotaName::Plugins => self.plugins,
            QuotaName::WaitingJobs => self.waiting_jobs,
        }
    }

    /// The limit of a day's audio in milliseconds.
    pub fn audio_ms(&self) -> Option<u64> {
        self.audio_minutes_per_day.map(|minutes| minutes.saturating_mul(MS_PER_MINUTE))
    }

    /// The first quota that has no room for what is wanted. The statements `usage/count_…` decide the same in SQL.
    pub fn refuse(&self, used: &Used, wanted: &Wanted, now: DateTime<Utc>) -> Option<Exceeded> {
        let over = |quota: QuotaName, used: u64, wanted: u64| {
            let retry_after_s = quota.is_daily().then(|| seconds_to_midnight(now));
            self.limit(quota).filter(|limit| wanted > 0 && !fits(used, wanted, *limit)).map(|limit| Exceeded {
                quota,
                limit,
                used,
                wanted,
                retry_after_s,
            })
        };
        over(QuotaName::CallsPerDay, used.calls, wanted.calls)
            .or_else(|| self.refuse_audio(used.audio_ms, wanted.audio_ms?, now))
            .or_else(|| over(QuotaName::Plugins, used.plugins, wanted.plugins))
            .or_else(|| over(QuotaName::StorageBytes, used.stored_bytes, wanted.stored_bytes))
    }

    /// A recording of unknown length needs some of the day to be left, one of known length as much as it has.
    fn refuse_audio(&self, used: u64, wanted: u64, now: DateTime<Utc>) -> Option<Exceeded> {
        let (quota, limit) = (QuotaName::AudioMinutesPerDay, self.audio_minutes_per_day?);
        let limit_ms = self.audio_ms()?;
        let room = used < limit_ms && fits(used, wanted, limit_ms);
        (!room).then(|| Exceeded { quota, limit, used, wanted, retry_after_s: Some(seconds_to_midnight(now)) })
    }

    /// Refuses one more job when `waiting` are there.
    pub fn refuse_job(&self, waiting: u64) -> Option<Exceeded> {
        let quota = QuotaName::WaitingJobs;
        let limit = self.waiting_jobs.filter(|limit| waiting >= *limit)?;
        Some(Exceeded { quota, limit, used: waiting, wanted: 1, retry_after_s: Some(JOBS_RETRY_AFTER_S) })
    }
}

fn fits(used: u64, wanted: u64, limit: u64) -> bool {
    used.checked_add(wanted).is_some_and(|sum| sum <= limit)
}

/// The day on which something counts.
pub fn day_of(now: DateTime<Utc>) -> NaiveDate {
    now.date_naive()
}

/// Seconds until the next day (UTC) begins, from 1 to 86,400.
fn seconds_to_midnight(now: DateTime<Utc>) -> u32 {
    let passed = now.time().signed_duration_since(NaiveTime::MIN).num_seconds();
    u32::try_from(passed).map_or(1, |passed| SECONDS_PER_DAY.saturating_sub(passed).max(1))
}

/// Whole minutes, of which the last may have just begun.
pub fn minutes(ms: u64) -> u64 {
    ms.div_ceil(MS_PER_MINUTE)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_428_000, 0).expect("a time")
    }

    #[test]
    fn what_nobody_knows_and_what_is_no_number_is_unreadable() {
        let read = |text: &str| super::super::read(&serde_json::from_str(text).expect("JSON")).ok();
        assert_eq!(read("{}"), Some(Quotas::default()));
        assert_eq!(read(r#"{"plugins": 0}"#), Some(Quotas { plugins: Some(0), ..Quotas::default() }));
        for bad in
            [r#"{"calls": 1}"#, r#"{"plugins": -1}"#, r#"{"plugins": "1"}"#, r#"{"plugins": 1.5}"#, "null", "[1]"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn minutes_are_told_and_never_rounded_down() {
        let quotas = Quotas { audio_minutes_per_day: Some(2), ..Quotas::default() };
        let wanted = Wanted { audio_ms: Some(60_001), ..Wanted::RECORDING };
        let used = Used { audio_ms: 60_000, ..Used::default() };
        let exceeded = quotas.refuse(&used, &wanted, now()).expect("a millisecond too long");
        assert_eq!(
            exceeded.to_string(),
            "the quota audio_minutes_per_day is 2: 1.00 are used, 1.01 more were asked for"
        );
        assert_eq!(minutes(60_001), 2);
    }

    proptest! {
        #[test]
        fn whoever_is_let_in_stays_within_every_limit(
            limits in proptest::array::uniform4(proptest::option::of(0..6_u64)),
            asked in proptest::collection::vec((0..2_u64, proptest::option::of(0..90_000_u64), 0..3_u64, 0..2_u64), 0..40),
        ) {
            let [calls_per_day, audio_minutes_per_day, storage_bytes, plugins] = limits;
            let quotas = Quotas { calls_per_day, audio_minutes_per_day, storage_bytes, plugins, waiting_jobs: None };
            let mut used = Used::default();
            for (calls, audio_ms, stored_bytes, plugins) in asked {
                let wanted = Wanted { calls, audio_ms, stored_bytes, plugins };
                let after = Used {
                    calls: used.calls + calls,
                    audio_ms: used.audio_ms + audio_ms.unwrap_or(0),
                    stored_bytes: used.stored_bytes + stored_bytes,
                    plugins: used.plugins + plugins,
                };
                let within = |limit: Option<u64>, used: u64| limit.is_none_or(|limit| used <= limit);
                let all_within = within(quotas.calls_per_day, after.calls)
                    && within(quotas.audio_ms(), after.audio_ms)
                    && within(quotas.storage_bytes, after.stored_bytes)
                    && within(quotas.plugins, after.plugins);
                match quotas.refuse(&used, &wanted, now()) {
                    None => {
                        prop_assert!(all_within);
                        used = after;
                    }
                    // A recording is refused as well when the day's minutes are all used, however short it is.
                    Some(exceeded) => prop_assert!(
                        !all_within || (exceeded.quota == QuotaName::AudioMinutesPerDay
                            && quotas.audio_ms().is_some_and(|limit| used.audio_ms >= limit))
                    ),
                }
            }
        }

        #[test]
        fn huge_numbers_are_numbers(limit: u64, used: u64, wanted: u64) {
            let quotas = Quotas {
                calls_per_day: Some(limit),
                audio_minutes_per_day: Some(limit),
                storage_bytes: Some(limit),
                plugins: Some(limit),
                waiting_jobs: Some(limit),
            };
            let used = Used { calls: used, audio_ms: used, stored_bytes: used, plugins: used };
            let wanted = Wanted { calls: wanted, audio_ms: Some(wanted), stored_bytes: wanted, plugins: wanted };
            let exact = wanted.calls > 0 && u128::from(used.calls) + u128::from(wanted.calls) > u128::from(limit);
            let refused = quotas.refuse(&used, &Wanted { audio_ms: None, ..wanted }, now());
            prop_assert_eq!(refused.is_some(), exact);
            let _ = quotas.refuse(&used, &wanted, now()).map(|exceeded| exceeded.to_string());
        }

        #[test]
        fn a_day_ends_when_its_seconds_have_passed(seconds in -62_000_000_000_i64..250_000_000_000, nanos in 0..1_000_000_000_u32) {
            let now = DateTime::from_timestamp(seconds, nanos).expect("a time");
            let left = seconds_to_midnight(now);
            prop_assert!((1..=SECONDS_PER_DAY).contains(&left));
            let later = |seconds: u32| day_of(now + TimeDelta::seconds(i64::from(seconds)));
            prop_assert_eq!(Some(later(left)), day_of(now).succ_opt());
            prop_assert_eq!(later(left - 1), day_of(now));
        }
    }
}
