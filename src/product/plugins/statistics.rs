//! What a version's runs came to: what its author sees.
//!
//! Messages and logs are a guest's words, which may quote the call. A guest is given redacted text alone, so they hold no more than those may
//! read who see calls; everybody who may see plugins may see calls.

use chrono::{DateTime, NaiveDate, Utc};
use postgres_types::ToSql;
use tokio_postgres::Row;

use super::{
    Plugins, PluginsError,
    model::{PluginRun, RunPurpose},
    store,
};
use crate::{
    foundation::{
        access::Grant,
        ids::{BindingId, CallId, OrganizationId},
    },
    platform::{
        db::{DbError, Statements},
        http::Listing,
    },
    sql,
};

/// Which runs are looked at.
#[derive(Clone, Debug)]
pub struct Window {
    /// Of this organization alone.
    pub organization_id: Option<OrganizationId>,
    /// Of this binding alone.
    pub binding_id: Option<BindingId>,
    /// Then or later.
    pub from: DateTime<Utc>,
    /// Before.
    pub before: DateTime<Utc>,
}

/// How a quantity is spread over runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half of the runs took at most this.
    pub p50: i64,
    /// 95 of 100 took at most this.
    pub p95: i64,
    /// 99 of 100 took at most this.
    pub p99: i64,
    /// None took more.
    pub most: i64,
}

/// What runs took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Why they ran; none of all together.
    pub purpose: Option<RunPurpose>,
    /// How many.
    pub runs: i64,
    /// How many failed.
    pub faults: i64,
    /// Failures by kind, the most frequent first.
    pub kinds: Vec<(String, i64)>,
    /// Instructions.
    pub fuel: Spread,
    /// Microseconds.
    pub elapsed_us: Spread,
    /// Bytes of linear memory.
    pub memory_bytes: Spread,
}

/// One day's runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// In UTC.
    pub day: NaiveDate,
    /// How many.
    pub runs: i64,
    /// How many failed.
    pub faults: i64,
    /// 95 of 100 took at most this, in microseconds.
    pub elapsed_us_p95: i64,
}

/// What a version's runs came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// All together first, then by purpose.
    pub taken: Vec<Taken>,
    /// Days that had any, oldest first.
    pub days: Vec<Day>,
}

/// What runs a list holds.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct RunFilter {
    /// Of this organization alone.
    pub organization_id: Option<OrganizationId>,
    /// Of this binding alone.
    pub binding_id: Option<BindingId>,
    /// About this call alone.
    pub call_id: Option<CallId>,
    /// That ran for this alone.
    pub purpose: Option<RunPurpose>,
    /// `ok`, or a failure's code; `fault` is any failure.
    pub outcome: Option<String>,
}

impl Plugins {
    /// What the runs of a version came to, in the organizations that the grant reaches.
    ///
    /// # Errors
    /// [`PluginsError::NoVersion`].
    pub async fn statistics(&self, grant: &Grant, digest: &str, window: &Window) -> Result<Statistics, PluginsError> {
        self.version(grant, digest).await?;
        self.db
            .tenant(grant, "plugins.statistics", async |tx| {
                let organizations = store::only(tx, window.organization_id);
                let row: [&(dyn ToSql + Sync); 5] =
                    [&organizations, &digest, &window.binding_id, &window.from, &window.before];
                let (taken, faults, days) = tokio::try_join!(
                    tx.all(sql!("plugins/statistics"), &row),
                    tx.all(sql!("plugins/count_faults"), &row),
                    tx.all(sql!("plugins/count_days"), &row),
                )?;
                let mut taken: Vec<Taken> = taken.iter().map(self::taken).collect::<Result<_, _>>()?;
                for row in &faults {
                    add(&mut taken, row)?;
                }
                for taken in &mut taken {
                    taken.kinds.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
                }
                Ok(Statistics { taken, days: days.iter().map(day).collect::<Result<_, _>>()? })
            })
            .await
    }

    /// A page of a version's runs, newest first.
    ///
    /// # Errors
    /// [`PluginsError::NoVersion`].
    pub async fn runs(
        &self,
        grant: &Grant,
        digest: &str,
        filter: &RunFilter,
        listing: &Listing,
    ) -> Result<Vec<PluginRun>, PluginsError> {
        self.version(grant, digest).await?;
        let on = self.db.alone(grant);
        let organizations = store::only(&on, filter.organization_id);
        let faults = filter.outcome.as_deref() == Some("fault");
        let outcome = filter.outcome.as_deref().filter(|_| !faults);
        let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
        let row: [&(dyn ToSql + Sync); 10] = [
            &organizations,
            &digest,
            &filter.purpose,
            &outcome,
            &faults,
            &filter.binding_id,
            &filter.call_id,
            &at,
            &id,
            &most,
        ];
        Ok(on.all(sql!("plugins/list_runs"), &row).await?.iter().map(run).collect::<Result<_, _>>()?)
    }
}

/// Adds failures of one purpose and kind to those of the purpose, and to all.
fn add(taken: &mut [Taken], row: &Row) -> Result<(), DbError> {
    let (purpose, kind, runs): (RunPurpose, String, i64) =
        (row.try_get("purpose")?, row.try_get("outcome")?, row.try_get("runs")?);
    for taken in taken.iter_mut().filter(|taken| taken.purpose.is_none_or(|of| of == purpose)) {
        match taken.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, counted)) => *counted += runs,
            None => taken.kinds.push((kind.clone(), runs)),
        }
    }
    Ok(())
}

fn taken(row: &Row) -> Result<Taken, DbError> {
    let spread = |column: &str| -> Result<Spread, DbError> {
        let values: Option<Vec<i64>> = row.try_get(column)?;
        Ok(match values.as_deref() {
            Some(&[p50, p95, p99, most]) => Spread { p50, p95, p99, most },
            _ => Spread::default(), // no runs
        })
    };
    Ok(Taken {
        purpose: row.try_get("purpose")?,
        runs: row.try_get("runs")?,
        faults: row.try_get("faults")?,
        kinds: vec![],
        fuel: spread("fuel")?,
        elapsed_us: spread("elapsed_us")?,
        memory_bytes: spread("memory_bytes")?,
    })
}

fn day(row: &Row) -> Result<Day, DbError> {
    Ok(Day {
        day: row.try_get("day")?,
        runs: row.try_get("runs")?,
        faults: row.try_get("faults")?,
        elapsed_us_p95: row.try_get("elapsed_us")?,
    })
}

fn run(row: &Row) -> Result<PluginRun, DbError> {
    Ok(PluginRun {
        plugin_run_id: row.try_get("plugin_run_id")?,
        organization_id: row.try_get("organization_id")?,
        binding_id: row.try_get("binding_id")?,
        call_id: row.try_get("call_id")?,
        evaluation_id: row.try_get("evaluation_id")?,
        purpose: row.try_get("purpose")?,
        outcome: row.try_get("outcome")?,
        message: row.try_get("message")?,
        log: row.try_get("log")?,
        log_truncated: row.try_get("log_truncated")?,
        fuel: row.try_get("fuel")?,
        elapsed_us: row.try_get("elapsed_us")?,
        memory_bytes: row.try_get("memory_bytes")?,
        overall: row.try_get("overall")?,
        counted: row.try_get("counted")?,
        output: row.try_get("output")?,
        ran_at: row.try_get("ran_at")?,
    })
}
