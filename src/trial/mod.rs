//! A scorecard on trial: written conversations through the very pipeline, in a private database, against what careful people answered.

mod input;
mod place;
mod report;
mod run;
pub mod statistics;

use std::path::PathBuf;

pub use self::{
    input::InputError,
    report::{CriterionReport, Disagreement, TrialReport},
    run::run,
};
use crate::{app::StartError, demo::DemoError, foundation::config::ConfigError, platform::db::OwnerError};

/// What a trial is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct TrialOptions {
    /// The scorecard: a definition as JSON (`.json`) or YAML.
    pub scorecard: PathBuf,
    /// Written conversations: the body of `POST /api/calls`, one a line, each with an `external_id` and without an `organization_id`.
    pub conversations: PathBuf,
    /// What careful people answered: `{"external_id": …, "criterion": …, "label": …}`, one a line.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Write the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The least accuracy of every labelled criterion, 0 to 1; below it the exit status is 1.
    #[arg(long, value_name = "SHARE", requires = "labels", value_parser = share)]
    pub min_accuracy: Option<f64>,
    /// The least kappa of every labelled criterion for which there is one, −1 to 1; below it the exit status is 1.
    #[arg(long, value_name = "KAPPA", requires = "labels", value_parser = kappa, allow_hyphen_values = true)]
    pub min_kappa: Option<f64>,
    /// Let the demo's stand-in answer in place of a language model: it judges by the phrases in the guidance, and the report says so.
    #[arg(long)]
    pub stand_in: bool,
}

/// Why a trial cannot run.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// What it was given.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The scorecard asks a language model, and none is configured.
    #[error(
        "the scorecard asks a language model {0} questions, and none is configured: set OPENAI_API_KEY or PLUMBLINE_LANGUAGE_MODEL__BASE_URL, or pass --stand-in"
    )]
    NoLanguageModel(usize),
    /// The private database, or the API in front of it.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// Roles, schemas, migrations.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The application.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A conversation was refused.
    #[error("the conversation {external_id} was refused: {why}")]
    Refused {
        /// Which one.
        external_id: String,
        /// The problem's own words.
        why: String,
    },
    /// Conversations did not come to their end in time.
    #[error("{0} conversations did not come to their end within ten minutes without any progress")]
    Stuck(usize),
    /// It was called off.
    #[error("called off")]
    Stopped,
    /// The report.
    #[error("the report: {0}")]
    Json(#[from] serde_json::Error),
    /// The machine.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn share(text: &str) -> Result<f64, String> {
    within(text, 0.0)
}

fn kappa(text: &str) -> Result<f64, String> {
    within(text, -1.0)
}

fn within(text: &str, least: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if (least..=1.0).contains(&number) { Ok(number) } else { Err(format!("is not within {least} and 1")) }
}
