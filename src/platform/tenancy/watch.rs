//! Noticing what other servers did: every other second one cheap question, whose answer is nearly always that nobody changed.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::{Tenants, store};
use crate::{
    foundation::ids::TenantId,
    platform::db::{Db, DbError},
};

/// How long a suspension goes unnoticed by another server, about.
const EVERY: Duration = Duration::from_secs(2);
/// By how much a look overlaps the one before; `sql/queries/tenancy/changed.sql` names it too. A change that takes longer from its moment to its
/// commit is noticed when the caches' entries expire.
const OVERLAP: TimeDelta = TimeDelta::seconds(10);

/// What one look after the other has seen. Times are PostgreSQL's, whatever this machine's clock says.
#[derive(Default)]
pub(super) struct Looks {
    last: Option<DateTime<Utc>>,
    seen: HashMap<TenantId, DateTime<Utc>>,
}

impl Looks {
    /// Who changed since the last look.
    pub(super) fn changed(&mut self, at: DateTime<Utc>, found: Vec<(TenantId, DateTime<Utc>)>) -> HashSet<TenantId> {
        let changed =
            found.iter().filter(|(id, changed_at)| self.seen.get(id) != Some(changed_at)).map(|one| one.0).collect();
        self.seen.extend(found);
        let old = at - OVERLAP - OVERLAP;
        self.seen.retain(|_, changed_at| *changed_at > old);
        self.last = Some(at);
        changed
    }
}

impl Tenants {
    /// Forgets tenants that other servers, or the operator's process, have changed, until `stop`.
    pub async fn watch(&self, db: &Db, stop: CancellationToken) {
        let mut looks = Looks::default();
        let mut turn = tokio::time::interval(EVERY);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = turn.tick() => {}
            }
            if let Err(error) = self.look(db, &mut looks).await {
                tracing::warn!(%error, "changes of tenants could not be looked at; what is cached expires by itself");
            }
        }
    }

    async fn look(&self, db: &Db, looks: &mut Looks) -> Result<(), DbError> {
        let (at, found) = store::changed(&db.platform_alone(), looks.last).await?;
        let changed = looks.changed(at, found);
        if !changed.is_empty() {
            tracing::debug!(tenants = changed.len(), "tenants changed");
            self.forget_all(&changed).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_a_second_one_again() {
        let at = |seconds: i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let (one, other) = (TenantId::new(), TenantId::new());
        let mut looks = Looks::default();
        assert_eq!(looks.changed(at(100), vec![(one, at(99))]), [one].into());
        assert_eq!(looks.changed(at(102), vec![(one, at(99)), (other, at(95))]), [other].into(), "late, but seen");
        assert!(looks.changed(at(104), vec![(one, at(99)), (other, at(95))]).is_empty());
        assert_eq!(looks.changed(at(106), vec![(one, at(105))]), [one].into());
        looks.changed(at(200), vec![]);
        assert!(looks.seen.is_empty(), "what no look can show any more is not kept");
    }
}
