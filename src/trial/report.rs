//! What a trial found: for each criterion how it was answered, how often that agrees with the labels, and where not.

use std::{collections::HashMap, fmt::Write};

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;
use serde_json::Value;

use super::statistics::{Agreement, Share, agreement};
use crate::product::scorecards::model::Definition;

/// How many disagreements of a criterion are shown; all are in the JSON.
const SHOWN: usize = 3;
/// An answer that counts for nothing: unverified, pending, or not there.
const UNANSWERED: &str = "unanswered";

/// One conversation at its end.
pub struct Outcome {
    external_id: String,
    analysis: Value,
    cost: Value,
}

impl Outcome {
    /// Of a conversation with its analysis, and with what its evaluation cost; null without an evaluation.
    pub fn of(external_id: &str, analysis: Value, cost: Value) -> Self {
        Self { external_id: external_id.to_owned(), analysis, cost }
    }

    /// What a criterion's answer cost.
    fn share(&self, key: &str) -> Option<&Value> {
        self.cost["criteria"].as_array()?.iter().find(|share| share["criterion"] == key)
    }

    fn evaluation(&self) -> &Value {
        &self.analysis["evaluation"]
    }

    fn criteria(&self) -> impl Iterator<Item = &Value> {
        let sections = self.evaluation()["sections"].as_array().into_iter().flatten();
        sections.flat_map(|section| section["criteria"].as_array().into_iter().flatten())
    }

    fn criterion(&self, key: &str) -> Option<&Value> {
        self.criteria().find(|criterion| criterion["key"] == key)
    }
}

/// The report, as `--json` writes it.
#[derive(Debug, Serialize)]
pub struct TrialReport {
    /// The scorecard's name.
    pub scorecard: String,
    /// Who answered for the language model.
    pub language_model: String,
    /// How many conversations were evaluated.
    pub evaluated: usize,
    /// Conversations that could not be evaluated, with the reason.
    pub failed: Vec<Failed>,
    /// Mean overall score of those that have one, 0 to 100.
    pub mean_score: Option<f64>,
    /// How many passed, as their evaluations say; none without a pass mark.
    pub passed: Option<usize>,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Tokens of all answers.
    pub completion_tokens: u64,
    /// What they cost by the configured price table; none where a model has no price.
    pub cost: Option<f64>,
    /// The currency of all costs here.
    pub currency: Option<String>,
    /// Quotes of the language model that are not in the transcript, of all that it gave.
    pub rejected_quotes: usize,
    /// All quotes.
    pub quotes: usize,
    /// Each criterion, in the scorecard's order.
    pub criteria: Vec<CriterionReport>,
}

/// A conversation that could not be evaluated.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// Which one.
    pub external_id: String,
    /// Why.
    pub reason: String,
}

/// How one criterion was answered.
#[derive(Debug, Serialize)]
pub struct CriterionReport {
    /// Its key.
    pub key: String,
    /// Answer → how often.
    pub answers: std::collections::BTreeMap<String, usize>,
    /// Share answered "not applicable".
    pub not_applicable: f64,
    /// Quotes that are not in the transcript.
    pub rejected_quotes: usize,
    /// All quotes.
    pub quotes: usize,
    /// Its share of the tokens of all prompts.
    pub prompt_tokens: u64,
    /// Its share of the tokens of all answers.
    pub completion_tokens: u64,
    /// What these cost by the configured price table; none where a model has no price.
    pub cost: Option<f64>,
    /// Against the labels; none where there are none.
    pub agreement: Option<Agreement>,
    /// Where answer and label differ.
    pub disagreements: Vec<Disagreement>,
}

/// An answer that is not the label.
#[derive(Debug, Serialize)]
pub struct Disagreement {
    /// Of which conversation.
    pub external_id: String,
    /// What was answered.
    pub answer: String,
    /// What the label says.
    pub label: String,
    /// Why it was answered so.
    pub rationale: String,
    /// The quotes that the answer rests on.
    pub quotes: Vec<String>,
}

impl TrialReport {
    /// Counts what came out.
    pub fn of(
        definition: &Definition,
        outcomes: &[Outcome],
        labels: &HashMap<(String, String), String>,
        language_model: String,
    ) -> Self {
        let (evaluated, failed): (Vec<&Outcome>, Vec<&Outcome>) =
            outcomes.iter().partition(|outcome| outcome.analysis["call_status"] == "evaluated");
        let scores: Vec<f64> = evaluated.iter().filter_map(|o| o.evaluation()["overall_score"].as_f64()).collect();
        let tokens = |field: &str| evaluated.iter().filter_map(|o| o.evaluation()[field].as_u64()).sum();
        let criteria: Vec<CriterionReport> =
            definition.criteria().map(|asked| criterion(&asked.key, &evaluated, labels)).collect();
        Self {
            scorecard: definition.name.clone(),
            language_model,
            evaluated: evaluated.len(),
            failed: failed.into_iter().map(why).collect(),
            mean_score: (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64),
            passed: definition.pass_mark.map(|_| evaluated.iter().filter(|o| o.evaluation()["passed"] == true).count()),
            prompt_tokens: tokens("prompt_tokens"),
            completion_tokens: tokens("completion_tokens"),
            cost: sum(evaluated.iter().map(|outcome| &outcome.cost["cost"])),
            currency: evaluated.iter().find_map(|outcome| outcome.cost["currency"].as_str()).map(str::to_owned),
            rejected_quotes: criteria.iter().map(|criterion| criterion.rejected_quotes).sum(),
            quotes: criteria.iter().map(|criterion| criterion.quotes).sum(),
            criteria,
        }
    }

    /// Which thresholds were missed, in words.
    pub fn missed(&self, accuracy: Option<f64>, kappa: Option<f64>) -> Vec<String> {
        let mut missed = vec![];
        for criterion in &self.criteria {
            let Some(found) = &criterion.agreement else { continue };
            for (what, found, least) in [("accuracy", found.accuracy, accuracy), ("kappa", found.kappa, kappa)] {
                if let (Some(found), Some(least)) = (found, least)
                    && found.value < least
                {
                    missed.push(format!("{}: {what} {:.3} is below {least}", criterion.key, found.value));
                }
            }
        }
        missed
    }

    /// The report for people.
    pub fn shown(&self, definition: &Definition) -> String {
        let mut text = format!(
            "{}: {} conversations evaluated, {} failed. Language model: {}.\n",
            self.scorecard,
            self.evaluated,
            self.failed.len(),
            self.language_model
        );
        if let Some(mean) = self.mean_score {
            let _ = write!(text, "Mean overall score {mean:.2}. ");
        }
        if let (Some(passed), Some(mark)) = (self.passed, definition.pass_mark) {
            let _ = write!(text, "{passed} passed (pass mark {mark}). ");
        }
        let _ = writeln!(
            text,
            "{} + {} tokens{}. {} of {} quotes rejected.",
            self.prompt_tokens,
            self.completion_tokens,
            self.cost.map(|cost| format!(", {}", self.money(cost))).unwrap_or_default(),
            self.rejected_quotes,
            self.quotes
        );
        for failed in &self.failed {
            let _ = writeln!(text, "FAILED {}: {}", failed.external_id, failed.reason);
        }
        let _ = writeln!(text, "{}", self.table());
        for criterion in &self.criteria {
            criterion.show_disagreements(&mut text);
        }
        text
    }

    fn money(&self, cost: f64) -> String {
        format!("{cost:.6} {}", self.currency.as_deref().unwrap_or_default()).trim_end().to_owned()
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY).set_header([
            "criterion",
            "answers",
            "n/a",
            "rejected",
            "tokens",
            "cost",
            "n",
            "accuracy (95 %)",
            "precision",
            "recall",
            "kappa (95 %)",
        ]);
        for criterion in &self.criteria {
            let answers: Vec<String> =
                criterion.answers.iter().map(|(answer, count)| format!("{answer} {count}")).collect();
            let found = criterion.agreement.clone().unwrap_or_default();
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(&criterion.key),
                Cell::new(answers.join(", ")),
                right(format!("{:.0} %", criterion.not_applicable * 100.0)),
                right(format!("{}/{}", criterion.rejected_quotes, criterion.quotes)),
                right(format!("{}+{}", criterion.prompt_tokens, criterion.completion_tokens)),
                right(criterion.cost.map_or(String::new(), |cost| self.money(cost))),
                right(if found.n > 0 { found.n.to_string() } else { String::new() }),
                right(interval(found.accuracy)),
                right(alone(found.precision)),
                right(alone(found.recall)),
                right(interval(found.kappa)),
            ]);
        }
        table
    }
}

impl CriterionReport {
    fn show_disagreements(&self, text: &mut String) {
        for found in self.disagreements.iter().take(SHOWN) {
            let quotes: Vec<String> = found.quotes.iter().map(|quote| format!("“{quote}”")).collect();
            let line = format!(
                "{} of {}: answered {}, labelled {}. {} {}",
                self.key,
                found.external_id,
                found.answer,
                found.label,
                found.rationale,
                quotes.join(" ")
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if let more @ 1.. = self.disagreements.len().saturating_sub(SHOWN) {
            let _ = writeln!(text, "{}: {more} more disagreements (--json has all)", self.key);
        }
    }
}

fn criterion(key: &str, evaluated: &[&Outcome], labels: &HashMap<(String, String), String>) -> CriterionReport {
    let mut report = CriterionReport {
        key: key.to_owned(),
        answers: std::collections::BTreeMap::new(),
        not_applicable: 0.0,
        rejected_quotes: 0,
        quotes: 0,
        prompt_tokens: 0,
        completion_tokens: 0,
        cost: sum(evaluated.iter().filter_map(|outcome| outcome.share(key)).map(|share| &share["cost"])),
        agreement: None,
        disagreements: vec![],
    };
    let mut pairs = vec![];
    for outcome in evaluated {
        let tokens = |field: &str| outcome.share(key).and_then(|share| share[field].as_u64()).unwrap_or(0);
        report.prompt_tokens += tokens("prompt_tokens");
        report.completion_tokens += tokens("completion_tokens");
        let Some(found) = outcome.criterion(key) else { continue };
        let answer = answer(found);
        *report.answers.entry(answer.clone()).or_default() += 1;
        let evidence = found["evidence"].as_array().map(Vec::as_slice).unwrap_or_default();
        report.quotes += evidence.len();
        report.rejected_quotes += evidence.iter().filter(|quote| quote["verified"] == false).count();
        let Some(label) = labels.get(&(outcome.external_id.clone(), key.to_owned())) else { continue };
        if answer != *label {
            let quotes = evidence.iter().filter_map(|quote| quote["quote"].as_str());
            report.disagreements.push(Disagreement {
                external_id: outcome.external_id.clone(),
                answer: answer.clone(),
                label: label.clone(),
                rationale: found["rationale"].as_str().unwrap_or_default().to_owned(),
                quotes: quotes.map(str::to_owned).collect(),
            });
        }
        pairs.push((answer, label.clone()));
    }
    let all: usize = report.answers.values().sum();
    let skipped = report.answers.get("not_applicable").copied().unwrap_or(0);
    report.not_applicable = if all == 0 { 0.0 } else { skipped as f64 / all as f64 };
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(answer, label)| (answer.as_str(), label.as_str())).collect();
    report.agreement = (!pairs.is_empty()).then(|| agreement(&pairs));
    report
}

/// Costs together; none when one of them is not known.
fn sum<'a>(mut costs: impl Iterator<Item = &'a Value>) -> Option<f64> {
    costs.try_fold(0.0, |sum, cost| Some(sum + cost.as_f64()?))
}

/// The answer by the word that labels use.
fn answer(found: &Value) -> String {
    let verdict = found["verdict"].as_str().unwrap_or(UNANSWERED);
    match (verdict, found["answered"].as_str()) {
        ("unverified" | "pending", _) => UNANSWERED.to_owned(),
        (_, Some(word)) => word.to_owned(),
        (verdict, None) => verdict.to_owned(),
    }
}

fn why(outcome: &Outcome) -> Failed {
    let said = |field: &str| outcome.analysis[field].as_str().unwrap_or_default().to_owned();
    Failed {
        external_id: outcome.external_id.clone(),
        reason: format!("{}: {}", said("failure_kind"), said("failure_reason")),
    }
}

fn interval(share: Option<Share>) -> String {
    let zero = |value: f64| if value.abs() < 5e-4 { 0.0 } else { value }; // no "-0.000"
    share.map_or(String::new(), |share| {
        format!("{:.3} ({:.2}–{:.2})", zero(share.value), zero(share.low), zero(share.high))
    })
}

fn alone(share: Option<Share>) -> String {
    share.map_or(String::new(), |share| format!("{:.3}", share.value))
}
