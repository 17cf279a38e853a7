//! `plumbline tenant …`.

use std::process::ExitCode;

use clap::Subcommand;
use plumbline::{
    foundation::{
        config::Config,
        ids::{OrganizationId, TenantId},
    },
    platform::db::NewTenant,
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
}

/// Does it.
pub async fn run(config: &Config, command: TenantCommand) -> Result<ExitCode, Failure> {
    match command {
        TenantCommand::Create { slug, name, issuer } => create(config, slug, name, issuer).await,
    }
}

async fn create(config: &Config, slug: String, name: String, issuer: String) -> Result<ExitCode, Failure> {
    let tenant =
        NewTenant { tenant_id: TenantId::new(), slug, name, issuer, root_organization_id: OrganizationId::new() };
    let tenant_id = owner(config).await?.create_tenant(&tenant).await?;
    println!("{tenant_id}");
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
