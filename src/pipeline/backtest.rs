//! Back-tests: a job works on one for a while and is put back, so that others have their turn; what was found is kept between.

use std::{sync::Arc, time::Duration};

use super::{Means, bury, grant};
use crate::{
    foundation::{access::Grant, ids::TenantId},
    platform::{
        db::DbError,
        jobs::{self, Handler, Job, JobError, Lease},
        plugins::{Plugin, PluginError},
    },
    product::{
        evaluations::backtest::{
            BacktestCalls,
            model::{BacktestStatus, Standing},
            report::Report,
            run::{Pace, Runner, Went},
            store,
        },
        plugins::versions,
    },
};

/// Why a version that fails at most of the calls is not tried any further.
const FAULTY: &str = "the plugin failed at more than half of the calls: see the faults in the report";

pub(super) struct BacktestRange(pub(super) Arc<Means>);

#[async_trait::async_trait]
impl Handler for BacktestRange {
    fn kind(&self) -> &'static str {
        BacktestCalls::KIND
    }

    async fn run(&self, lease: &Lease) -> Result<(), JobError> {
        let id = lease.job::<BacktestCalls>()?.backtest_id;
        let grant = grant(lease);
        let on = self.0.db.alone(&grant);
        let standing = store::find_standing(&on, id).await?;
        let Some(mut standing) = standing.filter(|standing| !standing.backtest.status.is_over()) else {
            return self.0.db.tenant(&grant, "backtest.done_before", async |tx| jobs::finish(tx, lease).await).await;
        };
        if standing.backtest.cancel_requested {
            return self.end(&grant, lease, &standing, BacktestStatus::Cancelled, None).await;
        }
        let plugin = match self.load(lease.tenant, &standing).await? {
            Ok(plugin) => plugin,
            Err(error) => {
                let words = error.to_string();
                return self.end(&grant, lease, &standing, BacktestStatus::Failed, Some(&words)).await;
            }
        };
        if !store::begin(&on, id, self.0.clock.now()).await? {
            return Err(JobError::LeaseLost);
        }
        let (db, clock) = (&self.0.db, &self.0.clock);
        let runner = Runner { db, grant: &grant, clock, plugin: &plugin, pace: Pace::default() };
        let (status, failure) = match Box::pin(runner.go_on(&mut standing)).await? {
            Went::On => return Err(JobError::NotYet { reason: "more calls are to be scored", after: Duration::ZERO }),
            Went::Through => (BacktestStatus::Succeeded, None),
            Went::Cancelled => (BacktestStatus::Cancelled, None),
            Went::Faulty => (BacktestStatus::Failed, Some(FAULTY)),
        };
        self.end(&grant, lease, &standing, status, failure).await
    }

    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError> {
        let Ok(job) = lease.job::<BacktestCalls>() else { return bury(&self.0, lease, error).await };
        let (now, words) = (self.0.clock.now(), error.to_string());
        self.0
            .db
            .tenant(&grant(lease), "backtest.gave_up", async |tx| {
                if jobs::bury(tx, lease, error, now).await? {
                    store::end(tx, job.backtest_id, BacktestStatus::Failed, None, Some(&words), now).await?;
                }
                Ok(())
            })
            .await
    }
}

impl BacktestRange {
    async fn load(&self, tenant: TenantId, standing: &Standing) -> Result<Result<Plugin, PluginError>, JobError> {
        let version = &standing.version;
        let (plugins, objects) = (&self.0.plugins, self.0.objects.as_ref());
        let loaded = versions::load(plugins, objects, tenant, &version.digest, &version.object_key).await;
        loaded.map_err(super::plugin::unavailable)
    }

    async fn end(
        &self,
        grant: &Grant,
        lease: &Lease,
        standing: &Standing,
        status: BacktestStatus,
        failure: Option<&str>,
    ) -> Result<(), JobError> {
        let (id, now) = (standing.backtest.backtest_id, self.0.clock.now());
        let report = (standing.found.done > 0).then(|| Report::of(standing));
        self.0
            .db
            .tenant(grant, "backtest.end", async |tx| {
                jobs::finish(tx, lease).await?;
                store::end(tx, id, status, report.as_ref(), failure, now).await?;
                Ok(())
            })
            .await
    }
}
