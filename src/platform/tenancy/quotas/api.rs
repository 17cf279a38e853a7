//! `/api/tenants/{tenant_id}/usage` and `…/quotas`: what a tenant used, and what it may use.

use std::{collections::HashSet, sync::Arc};

use chrono::{Datelike, Days, NaiveDate};
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
};

use super::{
    By, Limited, QuotaName, Quotas, SetError, Usage, UsageDay, UsageError, day_of, find_limited, from_outside, set,
    usage,
};
use crate::{
    foundation::{
        access::{Permission, Principal, TenantGrant},
        clock::Clock,
        ids::TenantId,
    },
    platform::{
        db::Db,
        http::{ETag, Fresh, IfMatch, IfNoneMatch, Kind, Problem, Refusal, Tagged, etag::stale, request_id},
        tenancy::Tenants,
    },
};

/// Days that one question covers.
pub const MOST_DAYS: i64 = 400;
/// Days that are shown when nobody names any.
const USUAL_DAYS: u64 = 30;
/// Seconds until a migration is likely to be over.
const RETRY_AFTER_S: u32 = 10;

#[derive(Tags)]
enum Tag {
    /// Tenants: what they may use, and what they used.
    Tenants,
}

/// The operations on quotas and usage.
pub struct QuotasApi {
    /// The door to data.
    pub db: Arc<Db>,
    /// Told of changes.
    pub tenants: Arc<Tenants>,
    /// The time.
    pub clock: Clock,
}

#[OpenApi(prefix_path = "/api/tenants", tag = "Tag::Tenants")]
impl QuotasApi {
    /// Get a tenant's usage
    ///
    /// Each day (UTC) on which anything was used, newest first, and how much of every quota is used now. For the tenant's administrators and
    /// auditors, and for operators, who see these numbers and nothing else of the tenant.
    #[oai(path = "/:tenant_id/usage", method = "get", operation_id = "get_tenant_usage")]
    async fn get_tenant_usage(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        /// The first day; 29 days before the last one when absent.
        from: Query<Option<NaiveDate>>,
        /// The last day, at most 400 days from the first on; today when absent.
        to: Query<Option<NaiveDate>>,
    ) -> Result<Json<UsageView>, Refusal> {
        let granted = principal.about(tenant_id.0, Permission::ReadTenant)?;
        let now = self.clock.now();
        let (from, to) = range(from.0, to.0, day_of(now))?;
        let limited = self.limited(tenant_id.0).await?;
        let quotas = limited.quotas.map_err(|error| Refusal::internal(&error))?;
        let grant = match granted {
            TenantGrant::Member(grant) => grant,
            TenantGrant::Operator(grant) => from_outside(&grant, tenant_id.0, &limited),
        };
        let used = usage(&self.db, &grant, &limited, (from, to), now).await?;
        Ok(Json(UsageView {
            tenant_id: tenant_id.0,
            from,
            to,
            quotas: QuotaName::ALL.iter().map(|quota| QuotaUse::of(*quota, &quotas, &used)).collect(),
            days: used.days.into_iter().map(UsageDayView::from).collect(),
        }))
    }

    /// Get a tenant's quotas
    ///
    /// What is absent has no limit. For the tenant's administrators and auditors, and for operators.
    #[oai(path = "/:tenant_id/quotas", method = "get", operation_id = "get_tenant_quotas")]
    async fn get_tenant_quotas(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<QuotasView>, Refusal> {
        principal.about(tenant_id.0, Permission::ReadTenant)?;
        let limited = self.limited(tenant_id.0).await?;
        let quotas = limited.quotas.map_err(|error| Refusal::internal(&error))?;
        Ok(known.0.answer(ETag::of(tenant_id.0.0, limited.revision), || quotas.into()))
    }

    /// Set a tenant's quotas
    ///
    /// All of them: what is left out has no limit from now on. Send `If-Match` with the `ETag` of what was read. This server knows at once,
    /// others within seconds. A limit below what is used takes nothing away; it refuses more.
    #[oai(path = "/:tenant_id/quotas", method = "put", operation_id = "set_tenant_quotas")]
    async fn set_tenant_quotas(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        #[oai(name = "If-Match")] expected: Header<IfMatch>,
        quotas: Json<QuotasView>,
    ) -> Result<Tagged<QuotasView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        expected.0.required()?;
        let (tenant_id, quotas, now) = (tenant_id.0, Quotas::from(quotas.0), self.clock.now());
        let revision = self
            .db
            .operator(&grant, "tenants.set_quotas", async |tx| {
                let limited = find_limited(tx, tenant_id).await?.ok_or(SetError::NotFound)?;
                expected.0.allows(&ETag::of(tenant_id.0, limited.revision))?;
                let by = By { actor: grant.actor(), request_id: request_id::current() };
                Ok::<_, Refusal>(set(tx, by, tenant_id, &quotas, Some(limited.revision), now).await?)
            })
            .await?;
        self.tenants.forget_all(&HashSet::from([tenant_id])).await;
        Ok(Tagged::of(ETag::of(tenant_id.0, revision), quotas.into()))
    }
}

impl QuotasApi {
    /// The platform's role looks the tenant up: that the principal may know of it was proved before.
    async fn limited(&self, tenant_id: TenantId) -> Result<Limited, Refusal> {
        Ok(find_limited(&self.db.platform_alone(), tenant_id).await?.ok_or(SetError::NotFound)?)
    }
}

impl From<UsageError> for Refusal {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::NotReady => {
                Problem::new(Kind::TenantNotReady, error.to_string()).retry_after(RETRY_AFTER_S).into()
            }
            UsageError::Destroyed => Refusal::new(Kind::IllegalState, error.to_string()),
            UsageError::Db(error) => error.into(),
        }
    }
}

/// The days that are asked for.
fn range(from: Option<NaiveDate>, to: Option<NaiveDate>, today: NaiveDate) -> Result<(NaiveDate, NaiveDate), Refusal> {
    for (name, day) in [("from", from), ("to", to)] {
        if day.is_some_and(|day| !(1900..=9999).contains(&day.year())) {
            return Err(Refusal::invalid(name, "must be from 1900 to 9999"));
        }
    }
    let to = to.unwrap_or(today);
    let from = from.or_else(|| to.checked_sub_days(Days::new(USUAL_DAYS - 1))).unwrap_or(to);
    if from > to {
        return Err(Refusal::invalid("from", "must not be after to"));
    }
    if (to - from).num_days() >= MOST_DAYS {
        return Err(Refusal::invalid("from", format!("must be within {MOST_DAYS} days before to")));
    }
    Ok((from, to))
}

impl From<SetError> for Refusal {
    fn from(error: SetError) -> Self {
        match error {
            SetError::NotFound => Refusal::not_found("tenant"),
            SetError::Destroyed => Refusal::new(Kind::IllegalState, error.to_string()),
            SetError::Stale => stale(),
            SetError::Db(error) => error.into(),
        }
    }
}

/// What a tenant may use; what is absent has no limit.
#[derive(Debug, Object)]
#[oai(rename = "Quotas", deny_unknown_fields, skip_serializing_if_is_none)]
pub struct QuotasView {
    /// Calls received on one day (UTC).
    #[oai(validator(maximum(value = "9007199254740991")))]
    calls_per_day: Option<u64>,
    /// Minutes of recordings on one day (UTC).
    #[oai(validator(maximum(value = "9007199254740991")))]
    audio_minutes_per_day: Option<u64>,
    /// Bytes of recordings and plugins that are kept.
    #[oai(validator(maximum(value = "9007199254740991")))]
    storage_bytes: Option<u64>,
    /// Plugin versions that are kept.
    #[oai(validator(maximum(value = "9007199254740991")))]
    plugins: Option<u64>,
    /// Jobs that wait or run.
    #[oai(validator(maximum(value = "9007199254740991")))]
    waiting_jobs: Option<u64>,
}

impl From<Quotas> for QuotasView {
    fn from(quotas: Quotas) -> Self {
        let Quotas { calls_per_day, audio_minutes_per_day, storage_bytes, plugins, waiting_jobs } = quotas;
        Self { calls_per_day, audio_minutes_per_day, storage_bytes, plugins, waiting_jobs }
    }
}

impl From<QuotasView> for Quotas {
    fn from(view: QuotasView) -> Self {
        let QuotasView { calls_per_day, audio_minutes_per_day, storage_bytes, plugins, waiting_jobs } = view;
        Self { calls_per_day, audio_minutes_per_day, storage_bytes, plugins, waiting_jobs }
    }
}

/// What a tenant used.
#[derive(Debug, Object)]
#[oai(rename = "TenantUsage")]
struct UsageView {
    /// The tenant.
    tenant_id: TenantId,
    /// The first day that was asked for.
    from: NaiveDate,
    /// The last one.
    to: NaiveDate,
    /// The days on which anything was used, newest first.
    days: Vec<UsageDayView>,
    /// Every quota and how much of it is used now.
    quotas: Vec<QuotaUse>,
}

/// One day (UTC).
#[derive(Debug, Object)]
#[oai(rename = "UsageDay")]
struct UsageDayView {
    /// The day.
    day: NaiveDate,
    /// Calls received.
    calls: i64,
    /// Milliseconds of recordings.
    audio_ms: i64,
    /// Bytes of recordings and plugins that came to be kept.
    stored_bytes: i64,
    /// Evaluations that a language model answered.
    evaluations: i64,
    /// Tokens that it read.
    prompt_tokens: i64,
    /// Tokens that it wrote.
    completion_tokens: i64,
}

impl From<UsageDay> for UsageDayView {
    fn from(used: UsageDay) -> Self {
        let UsageDay { day, calls, audio_ms, stored_bytes, evaluations, prompt_tokens, completion_tokens } = used;
        Self { day, calls, audio_ms, stored_bytes, evaluations, prompt_tokens, completion_tokens }
    }
}

/// One quota and its use: today's (UTC) where it counts by the day, else all there is.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct QuotaUse {
    /// Which.
    quota: QuotaName,
    /// How much is used, in the quota's unit; minutes are rounded up.
    used: u64,
    /// How much may be; absent where there is no limit.
    limit: Option<u64>,
}

impl QuotaUse {
    fn of(quota: QuotaName, quotas: &Quotas, usage: &Usage) -> Self {
        Self { quota, used: usage.of(quota), limit: quotas.limit(quota) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_of_days_in_order_and_not_too_many() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        let today = day("2026-11-23");
        assert_eq!(range(None, None, today).ok(), Some((day("2026-10-25"), today)));
        assert_eq!(range(None, Some(day("2026-03-01")), today).ok(), Some((day("2026-01-31"), day("2026-03-01"))));
        assert_eq!(range(Some(today), Some(today), today).ok(), Some((today, today)));
        assert!(range(Some(today - Days::new(399)), None, today).is_ok());
        assert!(range(Some(today - Days::new(400)), None, today).is_err());
        assert!(range(Some(today), Some(today - Days::new(1)), today).is_err());
        for wild in [NaiveDate::MIN, NaiveDate::MAX] {
            assert!(range(Some(wild), None, today).is_err() && range(None, Some(wild), today).is_err());
        }
    }
}
