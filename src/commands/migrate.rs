//! `plumbline migrate`.

use std::process::ExitCode;

use plumbline::foundation::config::Config;

use super::{Failure, connection, owner};

/// Brings the platform and every tenant to the newest schema.
pub async fn run(config: &Config) -> Result<ExitCode, Failure> {
    let mut owner = owner(config).await?;
    let login = connection(config.database.url.as_ref(), "DATABASE_URL")?;
    owner.migrate_platform(&login).await?;
    Ok(ExitCode::SUCCESS)
}
