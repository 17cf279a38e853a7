//! `plumbline tenant quotas` and `plumbline tenant usage`.

use std::process::ExitCode;

use chrono::{Days, NaiveDate};
use comfy_table::{Table, presets};
use plumbline::{
    app::StartError,
    foundation::{
        access::{OperatorGrant, Permission},
        clock::Clock,
        config::Config,
        ids::TenantId,
    },
    platform::{
        db::{Connections, Db},
        tenancy::quotas::{
            By, Limited, QuotaName, Quotas, SetError, api::MOST_DAYS, day_of, find_id_by_slug, find_limited,
            from_outside, set, usage,
        },
    },
};
use serde_json::json;

use super::{Failure, connection};

/// Days that are shown.
const SHOWN_DAYS: u64 = 30;
/// The largest limit, as the API has it.
const MOST: u64 = (1 << 53) - 1;

/// One limit as it is typed: `calls_per_day=1000`, or `none` for no limit.
pub type Limit = (QuotaName, Option<u64>);

/// Reads a [`Limit`].
pub fn limit(text: &str) -> Result<Limit, String> {
    let (name, limit) = text.split_once('=').ok_or("a quota and its limit, such as calls_per_day=1000")?;
    let quota = name.parse().map_err(|_| {
        let names: Vec<&str> = QuotaName::ALL.iter().map(|quota| quota.as_str()).collect();
        format!("the quotas are {}", names.join(", "))
    })?;
    match limit {
        "none" => Ok((quota, None)),
        limit => match limit.parse() {
            Ok(limit) if limit <= MOST => Ok((quota, Some(limit))),
            _ => Err(format!("a limit is a whole number up to {MOST}, or none")),
        },
    }
}

/// The door, and who comes through it.
struct Operator {
    db: Db,
    grant: OperatorGrant,
    clock: Clock,
}

impl Operator {
    #[allow(clippy::disallowed_methods, reason = "the command line is an operator's")]
    fn new(config: &Config) -> Result<Self, Failure> {
        let login = connection(config.database.url.as_ref(), "DATABASE_URL")?;
        let lanes = Connections::to(login, 1).open().map_err(StartError::from)?;
        let grant = OperatorGrant::system("command-line:tenant", Permission::ManageTenants);
        Ok(Self { db: Db::new(lanes), grant, clock: Clock::system() })
    }

    async fn find(&self, tenant: &str) -> Result<(TenantId, Limited), Failure> {
        let on = self.db.operator_alone(&self.grant);
        let id = match tenant.parse() {
            Ok(id) => Some(id),
            Err(_) => find_id_by_slug(&on, tenant).await?,
        };
        let Some(id) = id else { return Err(SetError::NotFound.into()) };
        let limited = find_limited(&on, id).await?.ok_or(SetError::NotFound)?;
        Ok((id, limited))
    }
}

/// Shows a tenant's limits, after setting those that are named.
pub async fn quotas(config: &Config, tenant: &str, limits: &[Limit], as_json: bool) -> Result<ExitCode, Failure> {
    let operator = Operator::new(config)?;
    let (id, limited) = operator.find(tenant).await?;
    let mut quotas = limited.quotas?;
    for (quota, limit) in limits {
        *place(&mut quotas, *quota) = *limit;
    }
    if !limits.is_empty() {
        let (grant, now) = (&operator.grant, operator.clock.now());
        operator
            .db
            .operator(grant, "tenants.set_quotas", async |tx| {
                let by = By { actor: grant.actor(), request_id: None };
                set(tx, by, id, &quotas, Some(limited.revision), now).await
            })
            .await?;
    }
    if as_json {
        println!("{}", serde_json::to_string_pretty(&quotas)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(["quota", "limit"]);
    for quota in QuotaName::ALL {
        table.add_row([quota.as_str(), &shown(quotas.limit(*quota))]);
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}

/// Shows what a tenant used, by the day, and how much of each quota is used now.
pub async fn show_usage(
    config: &Config,
    tenant: &str,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let operator = Operator::new(config)?;
    let (id, limited) = operator.find(tenant).await?;
    let now = operator.clock.now();
    let to = to.unwrap_or_else(|| day_of(now));
    let from = from.or_else(|| to.checked_sub_days(Days::new(SHOWN_DAYS - 1))).unwrap_or(to);
    if to < from || (to - from).num_days() >= MOST_DAYS {
        return Err(Failure::Said(format!("the last day must be 0 to {} days after the first one", MOST_DAYS - 1)));
    }
    let inside = from_outside(&operator.grant, id, &limited);
    let used = usage(&operator.db, &inside, &limited, (from, to), now).await?;
    let quotas = limited.quotas?;
    if as_json {
        let now: Vec<_> = QuotaName::ALL
            .iter()
            .map(|quota| json!({"quota": quota, "used": used.of(*quota), "limit": quotas.limit(*quota)}))
            .collect();
        let shown = json!({"tenant_id": id, "from": from, "to": to, "days": used.days, "quotas": now});
        println!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut days =
        table(["day", "calls", "audio s", "stored bytes", "evaluations", "prompt tokens", "completion tokens"]);
    for day in &used.days {
        let numbers = [
            day.calls,
            day.audio_ms / 1_000,
            day.stored_bytes,
            day.evaluations,
            day.prompt_tokens,
            day.completion_tokens,
        ];
        days.add_row(std::iter::once(day.day.to_string()).chain(numbers.iter().map(ToString::to_string)));
    }
    let mut now = table(["quota", "used", "limit"]);
    for quota in QuotaName::ALL {
        now.add_row([quota.to_string(), used.of(*quota).to_string(), shown(quotas.limit(*quota))]);
    }
    println!("{days}\n{now}");
    Ok(ExitCode::SUCCESS)
}

fn place(quotas: &mut Quotas, quota: QuotaName) -> &mut Option<u64> {
    match quota {
        QuotaName::CallsPerDay => &mut quotas.calls_per_day,
        QuotaName::AudioMinutesPerDay => &mut quotas.audio_minutes_per_day,
        QuotaName::StorageBytes => &mut quotas.storage_bytes,
        QuotaName::Plugins => &mut quotas.plugins,
        QuotaName::WaitingJobs => &mut quotas.waiting_jobs,
    }
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(header);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_whole_numbers_or_none() {
        assert_eq!(limit("plugins=0"), Ok((QuotaName::Plugins, Some(0))));
        assert_eq!(limit("calls_per_day=none"), Ok((QuotaName::CallsPerDay, None)));
        for bad in ["plugins", "seats=1", "plugins=-1", "plugins=1.5", "plugins=", "plugins=9007199254740992"] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }
}
