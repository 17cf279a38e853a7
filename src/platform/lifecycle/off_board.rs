//! Destroying a tenant: after its grace period, and not under a legal hold. From the first destroyed row on there is no way back, so the
//! operation can then only be finished.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    OFF_BOARD, Tools,
    certificate::{self, Destroyed, DestroyedTable, Verified},
    model::TenantRecord,
    objects::{self, Heard, Inventory},
    store::{self, Move},
    tenant_of,
};
use crate::{
    foundation::ids::TenantId,
    platform::{
        audit::{PlatformEvent, audit_platform},
        db::schema_name,
        operations::{Procedure, Run, StepEnd, StepError},
        tenancy::TenantStatus,
    },
};

/// In order. A released version keeps these names.
pub(super) const STEPS: &[&str] =
    &["grace", "hold", "cached_entries", "jobs", "inventory", "objects", "schema", "keys", "verify", "certificate"];

/// Tables that are dropped in one transaction. Each takes a dozen locks with its indexes and constraints, and the server's lock table is
/// shared by everybody.
pub(super) const TABLES_AT_ONCE: u16 = 4;

/// Servers look every other second; one whose looks fail forgets the tenant by age, after half a minute (`tenancy/tenants.rs`).
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::seconds(40);

/// What is asked for.
#[derive(Serialize, Deserialize)]
pub(super) struct OffBoarding {
    pub(super) grace_days: u16,
    /// What the tenant is again when this is called off.
    pub(super) previous_status: TenantStatus,
}

/// Destroys tenants.
pub struct OffBoard(pub Tools);

#[async_trait::async_trait]
impl Procedure for OffBoard {
    fn kind(&self) -> &'static str {
        OFF_BOARD
    }

    fn steps(&self) -> &'static [&'static str] {
        STEPS
    }

    async fn step(&self, name: &str, run: &Run) -> Result<StepEnd, StepError> {
        let tenant = tenant_of(run).await?;
        let certified = name == "certificate" && tenant.status == TenantStatus::Destroyed;
        if tenant.status != TenantStatus::Leaving && !certified {
            return Err(StepError::permanent("illegal-state", format!("the tenant is {}", tenant.status)));
        }
        let note = match name {
            "grace" => return Ok(grace(&tenant, run.now())),
            "hold" => hold(run, &tenant).await?,
            "cached_entries" => return self.cached_entries(run, tenant.tenant_id).await,
            "jobs" => jobs(run, tenant.tenant_id).await?,
            "inventory" => self.inventory(run, tenant.tenant_id).await?,
            "objects" => self.objects(run, tenant.tenant_id).await?,
            "schema" => self.schema(run, tenant.tenant_id).await?,
            "keys" => "tenants have no keys of their own yet: there is none to destroy".to_owned(),
            "verify" => self.verify(run, tenant.tenant_id).await?,
            "certificate" => self.certify(run, &tenant).await?,
            other => return Err(StepError::permanent("unknown-step", format!("there is no step {other}"))),
        };
        Ok(StepEnd::Done(Some(note)))
    }

    fn can_be_called_off(&self, step: &str) -> bool {
        matches!(step, "grace" | "hold")
    }

    async fn call_off(&self, run: &Run) -> Result<(), StepError> {
        let tenant = tenant_of(run).await?;
        let asked: OffBoarding = run.input().await?;
        let to = Move {
            from: TenantStatus::Leaving,
            to: asked.previous_status,
            reason: tenant.status_reason.as_deref(),
            leaves_at: None,
        };
        let id = tenant.tenant_id;
        run.db()
            .operator(run.grant(), "lifecycle.stay", async |tx| {
                if store::move_status(tx, id, &to).await? {
                    audit_platform(tx, &event(run, id, "tenant.stays", json!({ "status": to.to }))).await?;
                }
                Ok::<_, StepError>(())
            })
            .await?;
        self.0.tenants.forget_all(&[id].into()).await;
        Ok(())
    }
}

fn grace(tenant: &TenantRecord, now: DateTime<Utc>) -> StepEnd {
    match tenant.leaves_at {
        Some(until) if now < until => StepEnd::Wait { until, reason: format!("the grace period ends {until}") },
        _ => StepEnd::Done(Some("over".to_owned())),
    }
}

/// The last look at the hold and the first moment without a way back are one statement.
async fn hold(run: &Run, tenant: &TenantRecord) -> Result<String, StepError> {
    let id = tenant.tenant_id;
    run.db()
        .operator(run.grant(), "lifecycle.begin_destruction", async |tx| {
            if !store::begin_destruction(tx, id).await? {
                return Err(StepError::permanent("legal-hold", "the tenant is under legal hold: lift it, then retry"));
            }
            Ok(audit_platform(tx, &event(run, id, "tenant.destruction_begun", json!({}))).await?)
        })
        .await?;
    Ok("none".to_owned())
}

/// Jobs first: an attempt that runs finds its lease lost and rolls back, and a recording on its way becomes no call's, so that nothing is
/// written any more.
async fn jobs(run: &Run, id: TenantId) -> Result<String, StepError> {
    let operation = run.operation_id().await;
    let queued = match run.kept::<Queued>("queued").await? {
        Some(counted) => counted,
        None => {
            // Counted once, before anything goes: a step that is repeated would count what is left.
            let (jobs, uploads, operations) =
                store::left_behind(&run.db().operator_alone(run.grant()), id, operation).await?;
            let counted = Queued { jobs, uploads, operations };
            run.keep("queued", counted).await?;
            counted
        }
    };
    run.db()
        .operator(run.grant(), "lifecycle.delete_jobs", async |tx| {
            store::delete_jobs(tx, id).await?;
            store::delete_uploads(tx, id).await?;
            store::close_operations(tx, id, operation, run.now()).await?;
            store::scrub_operations(tx, id, operation).await?;
            Ok::<_, StepError>(())
        })
        .await?;
    let Queued { jobs, uploads, operations } = queued;
    Ok(format!("{jobs} jobs, {uploads} uploads, what was asked for in {operations} operations"))
}

/// What was queued about a tenant.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queued {
    pub(super) jobs: i64,
    pub(super) uploads: i64,
    pub(super) operations: i64,
}

impl OffBoard {
    /// Servers ask PostgreSQL every other second who has changed. What they know of the tenant's people goes with time alone, and leads to
    /// nothing any more.
    async fn cached_entries(&self, run: &Run, id: TenantId) -> Result<StepEnd, StepError> {
        self.0.tenants.forget_all(&[id].into()).await;
        let until = match run.kept::<DateTime<Utc>>("forgotten_at").await? {
            Some(until) => until,
            None => {
                let until = run.now() + FORGOTTEN_AFTER;
                run.keep("forgotten_at", until).await?;
                until
            }
        };
        Ok(if run.now() < until {
            StepEnd::Wait { until, reason: "until every server has forgotten the tenant".to_owned() }
        } else {
            StepEnd::Done(Some("every server has forgotten the tenant".to_owned()))
        })
    }

    /// Before anything goes.
    async fn inventory(&self, run: &Run, id: TenantId) -> Result<String, StepError> {
        let objects = objects::count(self.0.objects.as_ref(), id, Heard::By(run, None)).await?;
        let tables = self.0.owner().await?.count_tables(id).await?;
        let tables: Vec<DestroyedTable> = tables
            .into_iter()
            .map(|table| DestroyedTable { name: table.name, rows: table.rows, bytes: table.bytes })
            .collect();
        let recordings = tables.iter().find(|table| table.name == "audio_files").map_or(0, |table| table.rows);
        // The tenant's mark may be there: it is put where provisioning looks.
        if objects.count <= 1 && recordings > i64::try_from(objects.count).unwrap_or(i64::MAX) {
            return Err(StepError::permanent(
                "objects-missing",
                format!(
                    "rows name {recordings} recordings, and the object store that this process uses has none of them: \
                     let it use the servers' (PLUMBLINE_OBJECTS__…), then retry"
                ),
            ));
        }
        let note = format!("{} objects, {} bytes, {} tables", objects.count, objects.bytes, tables.len());
        run.keep("objects", objects).await?;
        run.keep("tables", tables).await?;
        Ok(note)
    }

    async fn objects(&self, run: &Run, id: TenantId) -> Result<String, StepError> {
        let total = run.kept::<Inventory>("objects").await?.map(|objects| objects.count);
        let deleted = objects::delete(self.0.objects.as_ref(), id, Heard::By(run, total)).await?;
        let unfinished = self.unfinished(id).await?;
        Ok(format!("{deleted} objects and {unfinished} unfinished files deleted in this run"))
    }

    /// Deletes files that never became objects: no list of the store shows them.
    async fn unfinished(&self, id: TenantId) -> Result<u64, StepError> {
        let mut removed = 0;
        for prefix in [id.to_string(), format!("exports/{id}")] {
            let gone = self.0.staging.remove(&prefix, None).await;
            removed += gone.map_err(|error| StepError::Temporary(format!("the object directory: {error}")))?;
        }
        Ok(removed)
    }

    async fn schema(&self, run: &Run, id: TenantId) -> Result<String, StepError> {
        let total = run.kept::<Vec<DestroyedTable>>("tables").await?.map(|tables| tables.len() as u64);
        let owner = self.0.owner().await?;
        let mut dropped = 0;
        loop {
            match owner.drop_tables(id, TABLES_AT_ONCE).await? {
                0 => break,
                tables => dropped += tables as u64,
            }
            run.progress(dropped, total).await?;
        }
        owner.drop_schema(id).await?;
        Ok(format!("{} is gone", schema_name(id)))
    }

    /// Asks everywhere again. What came late (an upload that was on its way) is taken now, and the step looks once more.
    async fn verify(&self, run: &Run, id: TenantId) -> Result<String, StepError> {
        let owner = self.0.owner().await?;
        let left = |what: &str| StepError::Temporary(format!("{what} left; it is looked at again"));
        if owner.has_schema_of(id).await? {
            return Err(left("the schema is"));
        }
        let late = objects::delete(self.0.objects.as_ref(), id, Heard::ByNobody).await? + self.unfinished(id).await?;
        let (operation, on) = (run.operation_id().await, run.db().operator_alone(run.grant()));
        let (jobs, uploads, operations) = store::left_behind(&on, id, operation).await?;
        if jobs + uploads + operations > 0 {
            store::delete_jobs(&on, id).await?;
            store::delete_uploads(&on, id).await?;
            store::scrub_operations(&on, id, operation).await?;
            return Err(left("jobs, uploads or operations are"));
        }
        let at = run.now();
        run.keep("verified", certificate::verifications(id, late, at)).await?;
        Ok("nothing is left".to_owned())
    }

    async fn certify(&self, run: &Run, tenant: &TenantRecord) -> Result<String, StepError> {
        let (id, now) = (tenant.tenant_id, run.now());
        let destroyed = Destroyed {
            objects: run.kept("objects").await?.unwrap_or_default(),
            tables: run.kept("tables").await?.unwrap_or_default(),
            queued: run.kept("queued").await?.unwrap_or_default(),
        };
        let verified: Vec<Verified> = run.kept("verified").await?.unwrap_or_default();
        let asked: OffBoarding = run.input().await?;
        let operation = run.operation().await;
        let certificate = certificate::of(tenant, &operation, asked.grace_days, &destroyed, &verified, now);
        run.db()
            .operator(run.grant(), "lifecycle.certify", async |tx| {
                store::certify(tx, tenant, &certificate).await?;
                if store::bury(tx, id, now).await? {
                    let details = json!({ "certificate_digest": certificate.digest });
                    audit_platform(tx, &event(run, id, "tenant.destroyed", details)).await?;
                }
                Ok::<_, StepError>(())
            })
            .await?;
        self.0.tenants.forget_all(&[id].into()).await;
        let kept = store::find_certificate(&run.db().operator_alone(run.grant()), id).await?;
        let digest = kept.map_or(certificate.digest, |kept| kept.digest);
        run.keep("certificate_digest", &digest).await?;
        Ok(digest)
    }
}

fn event<'a>(run: &'a Run, id: TenantId, action: &'a str, details: serde_json::Value) -> PlatformEvent<'a> {
    PlatformEvent {
        actor: run.grant().actor(),
        action,
        subject_kind: "tenant",
        subject_id: Some(id.0),
        tenant_id: Some(id),
        request_id: None,
        details,
        now: run.now(),
    }
}
