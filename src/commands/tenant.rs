//! `plumbline tenant …`.

use std::process::ExitCode;

use clap::Subcommand;
use comfy_table::{Table, presets};
use plumbline::{
    foundation::{
        config::Config,
        ids::{OrganizationId, TenantId},
    },
    platform::{
        db::{NewTenant, OwnerError, TenantMigrations},
        fleet::{self, StatusFilter},
    },
};

use super::{Failure, owner};

/// What is done with tenants.
#[derive(Subcommand)]
pub enum TenantCommand {
    /// Make a tenant with its own schema (DATABASE_OWNER_URL). Prints its id.
    Create {
        /// Short name: lower-case letters, digits and hyphens.
        #[arg(long, value_parser = slug)]
        slug: String,
        /// Name for people.
        #[arg(long)]
        name: String,
        /// The OIDC issuer whose tokens are the tenant's.
        #[arg(long, value_parser = issuer)]
        issuer: String,
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
pub async fn run(config: &Config, command: TenantCommand) -> Result<ExitCode, Failure> {
    match command {
        TenantCommand::Create { slug, name, issuer } => create(config, slug, name, issuer).await,
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

async fn create(config: &Config, slug: String, name: String, issuer: String) -> Result<ExitCode, Failure> {
    let tenant =
        NewTenant { tenant_id: TenantId::new(), slug, name, issuer, root_organization_id: OrganizationId::new() };
    let tenant_id = owner(config).await?.create_tenant(&tenant).await?;
    println!("{tenant_id}");
    Ok(ExitCode::SUCCESS)
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

/// The tenants table holds slugs to the same form.
fn slug(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
    if (2..=40).contains(&text.len()) && starts && text.chars().all(inner) && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err("2 to 40 lower-case letters, digits and hyphens, beginning with a letter, not ending with a hyphen"
            .to_owned())
    }
}

/// The issuer exactly as given: tokens name it byte for byte, and so does its discovery document.
fn issuer(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    let plain = text.chars().count() <= 500 && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    if plain && matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(text.to_owned())
    } else {
        Err("an http or https URL of at most 500 characters".to_owned())
    }
}
