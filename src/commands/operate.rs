//! `plumbline operate`.

use std::process::ExitCode;

use plumbline::{
    app::App,
    foundation::{clock::Clock, config::Config},
};
use tokio_util::sync::CancellationToken;

use super::{Failure, connection};

/// Works off operations until it is told to stop.
pub async fn run(config: Config, stop: CancellationToken) -> Result<ExitCode, Failure> {
    let owner = connection(config.database.owner_url.as_ref(), "DATABASE_OWNER_URL")?;
    App::new(config, Clock::system()).await?.operate(&owner, stop).await;
    Ok(ExitCode::SUCCESS)
}
