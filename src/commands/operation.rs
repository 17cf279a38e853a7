//! `plumbline operation …`: long requests about tenants, without a server.

use std::process::ExitCode;

use clap::Subcommand;
use comfy_table::{Table, presets};
use plumbline::{
    app::App,
    foundation::{clock::Clock, config::Config, ids::OperationId},
    platform::operations::{self, AskError, Operation, OperationFilter, api::OperationView},
};
use poem_openapi::types::ToJSON;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Failure, connection, follow, life::whoever_types};

/// So many are listed, the newest.
const LISTED: i64 = 100;

/// What is done with operations.
#[derive(Subcommand)]
pub enum OperationCommand {
    /// The newest hundred (DATABASE_URL).
    List {
        /// Those about one tenant alone: its slug or id.
        #[arg(long)]
        tenant: Option<String>,
        /// As JSON: an array of operations.
        #[arg(long)]
        json: bool,
    },
    /// One, with its steps (DATABASE_URL).
    Show {
        /// Its id.
        id: OperationId,
    },
    /// Call one off, or take back what a failed one has made (DATABASE_OWNER_URL).
    Cancel {
        /// Its id.
        id: OperationId,
    },
    /// Let a failed one go on at the step that failed (DATABASE_OWNER_URL).
    Retry {
        /// Its id.
        id: OperationId,
    },
}

/// Does it.
pub async fn run(config: &Config, command: OperationCommand, stop: CancellationToken) -> Result<ExitCode, Failure> {
    let (app, grant, now) = (App::new(config.clone(), Clock::system()).await?, whoever_types(), Clock::system().now());
    let told = |error: AskError| match error {
        AskError::Db(error) => error.into(),
        other => Failure::Said(other.to_string()),
    };
    let asked = match command {
        OperationCommand::List { tenant, json } => {
            let tenant_id = match tenant {
                Some(tenant) => Some(app.lifecycle().named(&grant, &tenant).await?.tenant_id),
                None => None,
            };
            let filter = OperationFilter { tenant_id, ..OperationFilter::default() };
            let found = operations::newest(&app.db().operator_alone(&grant), &filter, LISTED).await?;
            return list(found, json);
        }
        OperationCommand::Show { id } => {
            let found = operations::find(&app.db().operator_alone(&grant), id).await?;
            println!("{}", serde_json::to_string_pretty(&shown(found.ok_or_else(|| told(AskError::Unknown))?))?);
            return Ok(ExitCode::SUCCESS);
        }
        OperationCommand::Cancel { id } => operations::call_off(app.db(), &grant, id, now).await.map_err(told)?,
        OperationCommand::Retry { id } => operations::retry(app.db(), &grant, id, now).await.map_err(told)?,
    };
    let owner = connection(config.database.owner_url.as_ref(), "DATABASE_OWNER_URL")?;
    let id = asked.operation_id;
    let operation = follow::to_its_end(&app, &grant, &owner, asked, &stop).await?;
    if let Some(error) = &operation.error {
        eprintln!("operation {id} failed: {}: {}", error.kind, error.reason);
    } else {
        println!("operation {id} is {}", operation.status.as_str());
    }
    Ok(follow::code(&operation, &stop))
}

/// As the API shows it.
fn shown(operation: Operation) -> Value {
    OperationView::from(operation).to_json().unwrap_or_default()
}

fn list(found: Vec<Operation>, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let found: Vec<Value> = found.into_iter().map(shown).collect();
        println!("{}", serde_json::to_string_pretty(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["operation", "kind", "tenant", "status", "created", "error"]);
    for operation in found {
        table.add_row([
            operation.operation_id.to_string(),
            operation.kind.clone(),
            operation.tenant_id.map(|id| id.to_string()).unwrap_or_default(),
            operation.status.as_str().to_owned(),
            operation.created_at.format("%Y-%m-%d %H:%M").to_string(),
            operation.error.as_ref().map(|error| error.kind.clone()).unwrap_or_default(),
        ]);
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}
