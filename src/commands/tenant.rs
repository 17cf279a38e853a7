//! `plumbline tenant …`.

use std::process::ExitCode;

use clap::Subcommand;
use comfy_table::{Table, presets};
use plumbline::{
    foundation::config::Config,
    platform::{
        db::{OwnerError, TenantMigrations},
        fleet::{self, StatusFilter},
    },
};

use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    archive::{self, ArchiveCommand},
    life::{self, LifeCommand},
    owner, quotas,
};

/// What is done with tenants.
#[derive(Subcommand)]
pub enum TenantCommand {
    #[command(flatten)]
    Life(LifeCommand),
    #[command(flatten)]
    Archive(ArchiveCommand),
    /// What a tenant may use (DATABASE_URL); limits that are named are set first, the others stay.
    Quotas {
        /// Its slug or id.
        tenant: String,
        /// A limit to set, such as calls_per_day=1000; `none` lifts it.
        #[arg(long, value_name = "QUOTA=LIMIT", num_args = 1.., value_parser = quotas::limit)]
        set: Vec<quotas::Limit>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// What a tenant used by the day, and how much of each quota is used now (DATABASE_URL).
    Usage {
        /// Its slug or id.
        tenant: String,
        /// The first day (UTC); 29 days before the last one when absent.
        #[arg(long)]
        from: Option<chrono::NaiveDate>,
        /// The last day; today when absent.
        #[arg(long)]
        to: Option<chrono::NaiveDate>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// How the tenants' schemas stand: version, drift, last error (DATABASE_OWNER_URL).
    Status {
        /// Only those whose schema is another one than its version says.
        #[arg(long, conflicts_with_all = ["behind", "failed"])]
        drifted: bool,
        /// Only those that miss a migration.
        #[arg(long, conflicts_with = "failed")]
        behind: bool,
        /// Only those whose last migration failed.
        #[arg(long)]
        failed: bool,
        /// As JSON: an array of tenants.
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub async fn run(config: &Config, command: TenantCommand, stop: CancellationToken) -> Result<ExitCode, Failure> {
    match command {
        TenantCommand::Life(command) => Box::pin(life::run(config, command, stop)).await,
        TenantCommand::Archive(command) => archive::run(config, command, stop).await,
        TenantCommand::Quotas { tenant, set, json } => quotas::quotas(config, &tenant, &set, json).await,
        TenantCommand::Usage { tenant, from, to, json } => quotas::show_usage(config, &tenant, from, to, json).await,
        TenantCommand::Status { drifted, behind, failed, json } => {
            let filter = match (drifted, behind, failed) {
                (true, ..) => StatusFilter::Drifted,
                (_, true, _) => StatusFilter::Behind,
                (.., true) => StatusFilter::Failed,
                _ => StatusFilter::All,
            };
            show_status(config, filter, json).await
        }
    }
}

async fn show_status(config: &Config, filter: StatusFilter, json: bool) -> Result<ExitCode, Failure> {
    let owner = owner(config).await?;
    if !owner.is_migrated().await? {
        return Err(OwnerError::NotMigrated.into());
    }
    let tenants = fleet::status(&owner, TenantMigrations::embedded(), filter, None, usize::MAX).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&tenants)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["tenant", "status", "schema", "version", "drift", "migrated", "last error"]);
    for tenant in &tenants {
        let schema = format!("{}.{}", tenant.schema_version, tenant.concurrent_version);
        let migrated = tenant.migrated_at.map(|at| at.format("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
        table.add_row([
            tenant.slug.as_str(),
            tenant.status.as_str(),
            &schema,
            tenant.version.as_str(),
            tenant.drift.as_str(),
            &migrated,
            tenant.migration_error.as_deref().unwrap_or_default(),
        ]);
    }
    println!("{table}\n{} tenants", tenants.len());
    Ok(ExitCode::SUCCESS)
}
