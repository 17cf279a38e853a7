//! A version over stored evaluations, begun and watched from afar.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::{server::Server, settings, shown};
use crate::commands::Failure;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is tested on which calls.
#[derive(Args)]
pub struct Backtest {
    /// Its digest, the beginning of one, or NAME@VERSION.
    plugin: String,
    /// Whose evaluated calls: the organization's slug or id.
    #[arg(long)]
    organization: String,
    /// A file with its settings as JSON; none when absent.
    #[arg(long, value_name = "FILE.json")]
    settings: Option<PathBuf>,
    /// At most so many calls, the newest.
    #[arg(long, value_name = "NUMBER")]
    calls: Option<u32>,
    /// Calls of this queue alone.
    #[arg(long)]
    queue: Option<String>,
    /// Wait for its end, and show what it came to.
    #[arg(long)]
    watch: bool,
    /// Say it as JSON.
    #[arg(long)]
    json: bool,
}

/// Begins it, and watches it if asked to; the status is 0 unless it came to no end.
pub async fn run(server: &Server, wanted: Backtest) -> Result<ExitCode, Failure> {
    let settings = settings(wanted.settings.as_deref())?;
    let digest = server.digest(&wanted.plugin).await?;
    let mut filter = json!({});
    if let Some(calls) = wanted.calls {
        filter["most_calls"] = json!(calls);
    }
    if let Some(queue) = wanted.queue {
        filter["queue"] = json!(queue);
    }
    let organization_id = server.organization(&wanted.organization).await?;
    let body = json!({"organization_id": organization_id, "settings": settings, "filter": filter});
    let path = format!("api/plugins/{digest}/backtests");
    let mut now = server.post(&path, &body).await?;
    let at = format!("{path}/{}", now["backtest_id"].as_str().unwrap_or_default());
    while wanted.watch && is_open(&now) {
        tokio::time::sleep(LOOK_EVERY).await;
        now = server.get(&at).await?;
    }
    shown::say(&if wanted.json { serde_json::to_string_pretty(&now)? } else { shown::backtest(&now) })?;
    let is_well = is_open(&now) || now["status"] == "succeeded";
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_open(backtest: &Value) -> bool {
    matches!(backtest["status"].as_str(), Some("waiting" | "running"))
}
