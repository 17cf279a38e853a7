//! `plumbline operate`.

use std::process::ExitCode;

use plumbline::{
    app::App,
    foundation::{clock::Clock, config::Config},
};
use tokio_util::sync::CancellationToken;

use super::{Failure, connection};

/// Works off operations until it is told to stop, or those that are due.
pub async fn run(config: Config, once: bool, stop: CancellationToken) -> Result<ExitCode, Failure> {
    let owner = connection(config.database.owner_url.as_ref(), "DATABASE_OWNER_URL")?;
    let app = App::new(config, Clock::system()).await?;
    if once {
        println!("{} operations were taken up", app.runner(&owner).drain().await?);
    } else {
        app.operate(&owner, stop).await;
    }
    Ok(ExitCode::SUCCESS)
}
