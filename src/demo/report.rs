//! What the demo shows in the end.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;

use super::providers::ProviderNames;

/// The report, as `--json` writes it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Every call.
    pub calls: Vec<CallLine>,
    /// Who answered.
    pub providers: ProviderNames,
    /// How long each stage took, in seconds.
    pub stages: BTreeMap<&'static str, StageTimes>,
    /// The same id asked by another tenant.
    pub isolation: IsolationLine,
    /// What did not reach its end, in words.
    pub failures: Vec<String>,
}

/// One call.
#[derive(Debug, Serialize)]
pub struct CallLine {
    /// Its id.
    pub id: String,
    /// Slug of its tenant.
    pub tenant: String,
    /// Slug of its organization.
    pub organization: String,
    /// Name of its agent.
    pub agent: String,
    /// What it is about.
    pub title: String,
    /// How it was held.
    pub channel: String,
    /// Whether it came as a recording.
    pub audio: bool,
    /// How far it has come.
    pub status: String,
    /// 0 to 100; none when nothing applied.
    pub overall_score: Option<f64>,
    /// Keys of the criteria that are not met.
    pub failed_criteria: Vec<String>,
    /// Keys of the criteria whose evidence could not be verified.
    pub unverified_criteria: Vec<String>,
    /// Who scored.
    pub scorer: Option<String>,
    /// From received to evaluated.
    pub seconds: Option<f64>,
}

/// How long a stage took, waiting for its turn included.
#[derive(Debug, Default, Serialize)]
pub struct StageTimes {
    /// How many calls went through it.
    pub calls: usize,
    /// The middle one, in seconds.
    pub median: f64,
    /// The longest, in seconds.
    pub longest: f64,
}

/// The same id asked by another tenant.
#[derive(Debug, Serialize)]
pub struct IsolationLine {
    /// Which call.
    pub call_id: String,
    /// Whose it is.
    pub tenant: String,
    /// Who asked.
    pub asked_by: String,
    /// What its own tenant was answered.
    pub own_status: u16,
    /// What the other one was answered.
    pub foreign_status: u16,
}

impl StageTimes {
    /// Of these seconds.
    pub fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self {
            calls: seconds.len(),
            median: seconds.get(seconds.len() / 2).copied().unwrap_or_default(),
            longest: seconds.last().copied().unwrap_or_default(),
        }
    }
}

impl Report {
    /// The table and the lines below it.
    pub fn shown(&self) -> String {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        table.set_header(["organization", "call", "agent", "score", "failed criteria", "scorer", "s"]);
        for call in &self.calls {
            let failed = match call.failed_criteria.as_slice() {
                [] => "–".to_owned(),
                failed => failed.join(", "),
            };
            let score = call.overall_score.map_or_else(|| call.status.clone(), |score| format!("{score:.2}"));
            let medium = if call.audio { "audio" } else { call.channel.as_str() };
            table.add_row([
                Cell::new(&call.organization),
                Cell::new(format!("{} ({medium})", call.title)),
                Cell::new(&call.agent),
                Cell::new(score).set_alignment(CellAlignment::Right),
                Cell::new(failed),
                Cell::new(call.scorer.as_deref().unwrap_or("–")),
                Cell::new(call.seconds.map_or_else(|| "–".to_owned(), |s| format!("{s:.1}")))
                    .set_alignment(CellAlignment::Right),
            ]);
        }
        let IsolationLine { call_id, tenant, asked_by, own_status, foreign_status } = &self.isolation;
        let mut text = format!(
            "{table}\n\nSpeech to text: {}.\nLanguage model: {}.\n",
            self.providers.speech.name, self.providers.language_model.name
        );
        for (stage, times) in &self.stages {
            text.push_str(&format!(
                "{stage}: {} calls, median {:.2} s, longest {:.2} s\n",
                times.calls, times.median, times.longest
            ));
        }
        text.push_str(&format!(
            "Isolation: call {call_id} of {tenant} is {own_status} for its own tenant, and {foreign_status} for {asked_by}.\n"
        ));
        for failure in &self.failures {
            text.push_str(&format!("FAILED: {failure}\n"));
        }
        text
    }
}
