//! What may be asked about a tenant's life, by API or command line. Each is one transaction with its audit event; what takes long is only
//! written down here.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    LifecycleError, OFF_BOARD, PROVISION,
    asking::{input, replayed, requested, taken},
    model::{MOST_GRACE_DAYS, TenantRecord, TenantWanted, check_issuer, check_name, check_reason},
    off_board::{self, OffBoarding},
    provision::{self, Provisioning},
    store::{self, Certificate, Move, NewRow},
};
use crate::{
    foundation::{
        access::{Grant, OperatorGrant, Permission},
        clock::Clock,
        ids::{OrganizationId, TenantId},
    },
    platform::{
        audit::{PlatformEvent, audit, audit_platform},
        db::{Db, DbError, PlatformTx},
        http::{IfMatch, Keyed, Listing, Once, request_id},
        operations::{self, NewOperation, Operation},
        tenancy::{
            InvalidField, TenantStatus, Tenants,
            quotas::{By, set},
        },
    },
};

/// A long request, and the tenant that it is about.
#[derive(Clone, Debug)]
pub struct Requested {
    /// The tenant as it is now.
    pub tenant: TenantRecord,
    /// What is done to it.
    pub operation: Operation,
}

/// What is to be changed of a tenant.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    /// Another name for people.
    pub name: Option<String>,
    /// Another issuer: from then on its tokens are the tenant's, and the old one's no more.
    pub issuer: Option<String>,
}

/// The life of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Lifecycle {
    db: Arc<Db>,
    clock: Clock,
    tenants: Arc<Tenants>,
    operator_issuer: Option<String>,
}

impl Lifecycle {
    /// Over the given door; `tenants` is told of changes, and `operator_issuer` is nobody's.
    pub fn new(db: Arc<Db>, clock: Clock, tenants: Arc<Tenants>, operator_issuer: Option<String>) -> Self {
        Self { db, clock, tenants, operator_issuer }
    }

    /// Asks for a tenant: its row is there at once, the rest is the operation's work. The same request under the same idempotency key gives
    /// the operation that it began.
    ///
    /// # Errors
    /// [`LifecycleError::Invalid`]; [`LifecycleError::Taken`] when another tenant has the slug or the issuer; [`LifecycleError::Key`].
    pub async fn provision(
        &self,
        grant: &OperatorGrant,
        keyed: &Keyed,
        wanted: TenantWanted,
    ) -> Result<Once<Requested>, LifecycleError> {
        wanted.check(self.operator_issuer.as_deref())?;
        let now = self.now();
        self.db
            .operator(grant, "lifecycle.provision", async |tx| {
                if let Some(before) = replayed(tx, grant, PROVISION, keyed, now).await? {
                    return Ok(before);
                }
                let TenantWanted { slug, name, issuer, admin, quotas } = &wanted;
                let (tenant_id, root) = (TenantId::new(), OrganizationId::new());
                if !store::insert(tx, &NewRow { tenant_id, root, slug, name, issuer, now }).await? {
                    // Perhaps by the very same request, a moment ago.
                    if let Some(before) = replayed(tx, grant, PROVISION, keyed, now).await? {
                        return Ok(before);
                    }
                    return Err(taken(store::find_taken(tx, slug, issuer).await?));
                }
                let input = input(&Provisioning { admin: admin.clone() }, keyed)?;
                let new = NewOperation {
                    kind: PROVISION,
                    tenant: Some((tenant_id, root)),
                    input,
                    steps: provision::STEPS,
                    run_at: now,
                    requested_by: grant.actor().to_owned(),
                };
                let operation = operations::start(tx, &new, now).await?;
                let details = json!({ "slug": slug, "issuer": issuer, "operation_id": operation });
                self.record(tx, grant, "tenant.requested", tenant_id, details).await?;
                if let Some(quotas) = quotas {
                    let by = By { actor: grant.actor(), request_id: request_id::current() };
                    set(tx, by, tenant_id, quotas, None, now).await?;
                }
                Ok(Once { value: requested(tx, tenant_id, operation).await?, replayed: false })
            })
            .await
    }

    /// A page of tenants, newest first: those in a status, those whose slug begins so.
    ///
    /// # Errors
    /// [`LifecycleError::Db`].
    pub async fn list(
        &self,
        grant: &OperatorGrant,
        status: Option<TenantStatus>,
        slug_prefix: Option<&str>,
        listing: &Listing,
    ) -> Result<Vec<TenantRecord>, LifecycleError> {
        Ok(store::list(&self.db.operator_alone(grant), status, slug_prefix, listing).await?)
    }

    /// One tenant. The caller has shown that the one who asks may know of it.
    ///
    /// # Errors
    /// [`LifecycleError::NotFound`].
    pub async fn get(&self, id: TenantId) -> Result<TenantRecord, LifecycleError> {
        store::find(&self.db.platform_alone(), id).await?.ok_or(LifecycleError::NotFound)
    }

    /// The tenant that has the slug now, or the one with that id.
    ///
    /// # Errors
    /// [`LifecycleError::NotFound`].
    pub async fn named(&self, grant: &OperatorGrant, slug_or_id: &str) -> Result<TenantRecord, LifecycleError> {
        let on = self.db.operator_alone(grant);
        let found = match slug_or_id.parse() {
            Ok(id) => store::find(&on, id).await?,
            Err(_) => store::find_by_slug(&on, slug_or_id).await?,
        };
        found.ok_or(LifecycleError::NotFound)
    }

    /// Changes name or issuer of a tenant that is still as the caller read it.
    ///
    /// # Errors
    /// [`LifecycleError::Stale`], [`LifecycleError::Invalid`], [`LifecycleError::Taken`], [`LifecycleError::IllegalState`].
    pub async fn update(
        &self,
        grant: &OperatorGrant,
        id: TenantId,
        expected: &IfMatch,
        change: TenantChange,
    ) -> Result<TenantRecord, LifecycleError> {
        if let Some(name) = &change.name {
            check_name(name)?;
        }
        if let Some(issuer) = &change.issuer {
            check_issuer(issuer, self.operator_issuer.as_deref())?;
        }
        let fields: Vec<&str> = [("name", change.name.is_some()), ("issuer", change.issuer.is_some())]
            .iter()
            .filter(|f| f.1)
            .map(|f| f.0)
            .collect();
        let mut details = json!({ "fields": fields });
        let changed = self
            .db
            .operator(grant, "lifecycle.update", async |tx| {
                let mut tenant = store::lock(tx, id).await?.ok_or(LifecycleError::NotFound)?;
                expected.allows(&tenant.etag()).map_err(|_| LifecycleError::Stale)?;
                if matches!(tenant.status, TenantStatus::Leaving | TenantStatus::Destroyed) {
                    return Err(LifecycleError::IllegalState("a tenant that leaves is not changed"));
                }
                if let Some(issuer) = &change.issuer {
                    // Whoever signs the tenant's tokens reads its calls: a change of that is told in full, and to the tenant.
                    details["issuer"] = json!({ "from": tenant.issuer, "to": issuer });
                }
                tenant.name = change.name.unwrap_or(tenant.name);
                tenant.issuer = change.issuer.unwrap_or(tenant.issuer);
                match store::update(tx, &tenant).await {
                    Err(error) if error.unique_violation() == Some("tenants_issuer") => {
                        return Err(LifecycleError::Taken { field: "issuer", by: None });
                    }
                    updated => {
                        if !updated? {
                            return Err(LifecycleError::Stale);
                        }
                    }
                }
                self.record(tx, grant, "tenant.updated", id, details.clone()).await?;
                store::find(tx, id).await?.ok_or(LifecycleError::NotFound)
            })
            .await?;
        self.tenants.forget_all(&[id].into()).await;
        self.tell(&changed, "tenant.updated", details).await;
        Ok(changed)
    }

    /// Stops everything of an active tenant and keeps it. One that is suspended stays so, for the reason that it has.
    ///
    /// # Errors
    /// [`LifecycleError::IllegalState`] for a tenant that is neither.
    pub async fn suspend(
        &self,
        grant: &OperatorGrant,
        id: TenantId,
        reason: &str,
    ) -> Result<TenantRecord, LifecycleError> {
        check_reason(reason)?;
        let to =
            Move { from: TenantStatus::Active, to: TenantStatus::Suspended, reason: Some(reason), leaves_at: None };
        self.turn(grant, id, &to, "tenant.suspended", "only an active tenant is suspended").await
    }

    /// Serves a suspended tenant again; its jobs go on. One that is active stays so.
    ///
    /// # Errors
    /// [`LifecycleError::IllegalState`] for a tenant that is neither.
    pub async fn resume(&self, grant: &OperatorGrant, id: TenantId) -> Result<TenantRecord, LifecycleError> {
        let to = Move { from: TenantStatus::Suspended, to: TenantStatus::Active, reason: None, leaves_at: None };
        self.turn(grant, id, &to, "tenant.resumed", "only a suspended tenant is resumed").await
    }

    async fn turn(
        &self,
        grant: &OperatorGrant,
        id: TenantId,
        to: &Move<'_>,
        action: &'static str,
        otherwise: &'static str,
    ) -> Result<TenantRecord, LifecycleError> {
        let (tenant, moved) = self
            .db
            .operator(grant, "lifecycle.turn", async |tx| {
                let tenant = store::lock(tx, id).await?.ok_or(LifecycleError::NotFound)?;
                if tenant.status == to.to {
                    return Ok((tenant, false));
                }
                if !store::move_status(tx, id, to).await? {
                    return Err(LifecycleError::IllegalState(otherwise));
                }
                self.record(tx, grant, action, id, json!({ "reason": to.reason })).await?;
                Ok((store::find(tx, id).await?.ok_or(LifecycleError::NotFound)?, true))
            })
            .await?;
        if moved {
            self.tenants.forget_all(&[id].into()).await;
            self.tell(&tenant, action, json!({ "reason": to.reason })).await;
        }
        Ok(tenant)
    }

    /// Keeps a tenant from being destroyed until the hold is lifted.
    ///
    /// # Errors
    /// [`LifecycleError::IllegalState`] once its destruction has begun.
    pub async fn hold(
        &self,
        grant: &OperatorGrant,
        id: TenantId,
        reason: &str,
    ) -> Result<TenantRecord, LifecycleError> {
        check_reason(reason)?;
        self.set_hold(grant, id, Some(reason), "tenant.held").await
    }

    /// Lifts a legal hold; nothing when there is none.
    ///
    /// # Errors
    /// As [`Lifecycle::hold`].
    pub async fn release(&self, grant: &OperatorGrant, id: TenantId) -> Result<TenantRecord, LifecycleError> {
        self.set_hold(grant, id, None, "tenant.released").await
    }

    async fn set_hold(
        &self,
        grant: &OperatorGrant,
        id: TenantId,
        reason: Option<&str>,
        action: &'static str,
    ) -> Result<TenantRecord, LifecycleError> {
        let (tenant, changed) = self
            .db
            .operator(grant, "lifecycle.set_hold", async |tx| {
                let tenant = store::lock(tx, id).await?.ok_or(LifecycleError::NotFound)?;
                if tenant.legal_hold.as_deref() == reason {
                    return Ok((tenant, false));
                }
                if !store::set_hold(tx, id, reason).await? {
                    return Err(LifecycleError::IllegalState(
                        "the tenant is not made yet, or its destruction has begun",
                    ));
                }
                self.record(tx, grant, action, id, json!({ "reason": reason })).await?;
                Ok((store::find(tx, id).await?.ok_or(LifecycleError::NotFound)?, true))
            })
            .await?;
        if changed {
            self.tell(&tenant, action, json!({})).await; // the reason may be nobody's business in the tenant
        }
        Ok(tenant)
    }

    /// Lets a tenant go: not served from now on, and destroyed when its grace period is over. Until then it can be called off.
    ///
    /// # Errors
    /// [`LifecycleError::LegalHold`]; [`LifecycleError::Open`] when it is leaving already; [`LifecycleError::IllegalState`].
    pub async fn off_board(
        &self,
        grant: &OperatorGrant,
        keyed: &Keyed,
        id: TenantId,
        grace_days: u16,
    ) -> Result<Once<Requested>, LifecycleError> {
        if grace_days > MOST_GRACE_DAYS {
            return Err(InvalidField { field: "grace_days", message: "must be at most 3650" }.into());
        }
        let now = self.now();
        let leaves_at = now + TimeDelta::days(i64::from(grace_days));
        let once = self
            .db
            .operator(grant, "lifecycle.off_board", async |tx| {
                if let Some(before) = replayed(tx, grant, OFF_BOARD, keyed, now).await? {
                    return Ok(before);
                }
                let tenant = store::lock(tx, id).await?.ok_or(LifecycleError::NotFound)?;
                may_leave(tx, &tenant).await?;
                let reason = tenant.status_reason.as_deref();
                let to = Move { from: tenant.status, to: TenantStatus::Leaving, reason, leaves_at: Some(leaves_at) };
                if !store::move_status(tx, id, &to).await? {
                    return Err(LifecycleError::Stale);
                }
                let asked = OffBoarding { grace_days, previous_status: tenant.status };
                let new = NewOperation {
                    kind: OFF_BOARD,
                    tenant: Some((id, tenant.root_organization_id)),
                    input: input(&asked, keyed)?,
                    steps: off_board::STEPS,
                    run_at: now,
                    requested_by: grant.actor().to_owned(),
                };
                let operation = operations::start(tx, &new, now).await?;
                let details = json!({ "grace_days": grace_days, "operation_id": operation });
                self.record(tx, grant, "tenant.leaving", id, details).await?;
                Ok(Once { value: requested(tx, id, operation).await?, replayed: false })
            })
            .await?;
        self.tenants.forget_all(&[id].into()).await;
        if !once.replayed {
            self.tell(&once.value.tenant, "tenant.leaving", json!({ "grace_days": grace_days })).await;
        }
        Ok(once)
    }

    /// The certificate of a destroyed tenant.
    ///
    /// # Errors
    /// [`LifecycleError::NotFound`] while there is none.
    pub async fn certificate(&self, grant: &OperatorGrant, id: TenantId) -> Result<Certificate, LifecycleError> {
        store::find_certificate(&self.db.operator_alone(grant), id).await?.ok_or(LifecycleError::NotFound)
    }

    async fn record(
        &self,
        tx: &PlatformTx<'_>,
        grant: &OperatorGrant,
        action: &str,
        id: TenantId,
        details: Value,
    ) -> Result<(), DbError> {
        let event = PlatformEvent {
            actor: grant.actor(),
            action,
            subject_kind: "tenant",
            subject_id: Some(id.0),
            tenant_id: Some(id),
            request_id: request_id::current(),
            details,
            now: self.now(),
        };
        audit_platform(tx, &event).await
    }

    /// Writes into the tenant's own log what its people should find there. The platform's log, which has it already, counts: what fails here
    /// is logged and costs the act nothing.
    async fn tell(&self, tenant: &TenantRecord, action: &str, details: Value) {
        if tenant.schema_version == 0 {
            return; // there is no log yet
        }
        let (id, root) = (tenant.tenant_id, tenant.root_organization_id);
        #[allow(
            clippy::disallowed_methods,
            reason = "operators have no grant in a tenant; this one writes its log alone"
        )]
        let grant = Grant::system(id, root, root, "lifecycle", Permission::ReadAudit);
        let told: Result<(), DbError> = self
            .db
            .tenant(&grant, "lifecycle.tell", async |tx| audit(tx, action, "tenant", Some(id.0), root, details).await)
            .await;
        if let Err(error) = told {
            tracing::error!(%error, tenant_id = %id, action, "the tenant's own log does not have the event; the platform's has");
        }
    }

    /// As PostgreSQL keeps it: in microseconds.
    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }
}

async fn may_leave(tx: &PlatformTx<'_>, tenant: &TenantRecord) -> Result<(), LifecycleError> {
    if tenant.legal_hold.is_some() {
        return Err(LifecycleError::LegalHold);
    }
    match tenant.status {
        TenantStatus::Active | TenantStatus::Suspended => Ok(()),
        TenantStatus::Provisioning => {
            Err(LifecycleError::IllegalState("the tenant is not made yet: call its provisioning off"))
        }
        TenantStatus::Leaving => match operations::open_about(tx, tenant.tenant_id, OFF_BOARD).await? {
            Some(operation) => Err(LifecycleError::Open(operation)),
            None => Err(LifecycleError::IllegalState("the tenant is leaving: retry its operation, or call it off")),
        },
        TenantStatus::Destroyed => Err(LifecycleError::IllegalState("the tenant is destroyed")),
    }
}
