//! Small reports for the tests of this room.

use chrono::DateTime;
use serde_json::json;

use super::{
    found::{Came, Compared, Found, Judged, Ran, Took},
    model::{Backtest, BacktestStatus, Filter, Standing, Version},
    report::Report,
};
use crate::foundation::ids::{BacktestId, CallId, OrganizationId};

pub(super) fn standing(found: Found) -> Standing {
    let backtest = Backtest {
        backtest_id: BacktestId(uuid::Uuid::from_u128(1)),
        organization_id: OrganizationId(uuid::Uuid::from_u128(2)),
        digest: "a".repeat(64),
        settings: json!({}),
        settings_digest: "b".repeat(64),
        filter: Filter::default(),
        status: BacktestStatus::Running,
        cancel_requested: false,
        calls_total: 10,
        calls_done: 3,
        calls_scored: 3,
        failure: None,
        requested_by: "user:sam".to_owned(),
        created_at: DateTime::UNIX_EPOCH,
        started_at: None,
        ended_at: None,
        report: None,
    };
    let version = Version {
        digest: backtest.digest.clone(),
        name: "example".to_owned(),
        version: "1.0.0".to_owned(),
        world: "scorer".to_owned(),
        object_key: String::new(),
    };
    Standing { backtest, version, at: None, found }
}

pub(super) fn report() -> Report {
    let mut found = Found::default();
    for (n, (before, after)) in [(8_000, 9_000), (7_000, 7_000), (9_000, 4_001)].into_iter().enumerate() {
        let judged = |score: u32| Judged { score: Some(score), passed: Some(score >= 8_000) };
        let (before, after) = (judged(before), judged(after));
        let ran = Ran {
            agent_id: None,
            queue: Some("billing".to_owned()),
            outcome: Ok(Compared { overall: (before, after), criteria: vec![("greeting".to_owned(), before, after)] }),
            took: Took { fuel: 1_000, elapsed_us: 100, memory_bytes: 65_536 },
            again: (n == 0).then_some(true),
        };
        found.add(CallId(uuid::Uuid::from_u128(n as u128)), Came::Ran(Box::new(ran)));
    }
    Report::of(&standing(found))
}

pub(super) fn empty_report() -> Report {
    Report::of(&standing(Found::default()))
}
