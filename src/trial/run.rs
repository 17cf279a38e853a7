//! A trial from its files to its report.

use std::{collections::HashMap, io::Write, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    TrialError, TrialOptions,
    input::{self, Conversation},
    place::Place,
    report::{Outcome, TrialReport},
};
use crate::{
    demo::{
        ApiClient, DemoError,
        standins::{StandInOptions, StandIns},
    },
    foundation::config::{Config, SpeechProvider},
    product::scorecards::model::{AnsweredBy, Definition},
};

/// Without any conversation ending for so long, nothing is waited for any more.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Conversations that wait or run at once: enough to keep the worker busy, few enough to be looked at often.
const AT_ONCE: usize = 200;

/// Runs a trial and prints its report. Returns whether every conversation was evaluated and every threshold reached.
///
/// # Errors
/// [`TrialError`] when it cannot run; nothing is left behind in any case.
pub async fn run(options: &TrialOptions, mut config: Config, stop: &CancellationToken) -> Result<bool, TrialError> {
    let definition = input::scorecard(&options.scorecard)?;
    let conversations = input::conversations(&options.conversations)?;
    let labels = match &options.labels {
        Some(file) => input::labels(file, &definition, &conversations)?,
        None => HashMap::new(),
    };
    let mut written = match &options.json {
        Some(file) => Some(std::fs::File::create(file)?), // a place that cannot be written is told before the work
        None => None,
    };
    config.speech.provider = Some(SpeechProvider::None);
    let (judge, stand_ins) = judge(options, &mut config, &definition).await?;
    eprintln!("try: starting a private PostgreSQL");
    let place = Place::open().await?;
    let scorecard = serde_json::to_value(&definition)?;
    let evaluating = place
        .during(config, scorecard, stop, async |api, organization| evaluate(api, organization, &conversations).await);
    // Boxed: it holds the whole server.
    let outcomes = Box::pin(evaluating).await;
    place.close().await?;
    drop(stand_ins);
    let report = TrialReport::of(&definition, &outcomes?, &labels, judge);
    if let Some(file) = &mut written {
        file.write_all(serde_json::to_string_pretty(&report)?.as_bytes())?;
    }
    println!("{}", report.shown(&definition));
    let missed = report.missed(options.min_accuracy, options.min_kappa);
    for why in &missed {
        eprintln!("try: {why}");
    }
    Ok(missed.is_empty() && report.failed.is_empty())
}

/// Who answers for the language model, in words; and what must stay alive for that.
async fn judge(
    options: &TrialOptions,
    config: &mut Config,
    definition: &Definition,
) -> Result<(String, Option<StandIns>), TrialError> {
    let asked = definition.criteria().filter(|criterion| criterion.answered_by == AnsweredBy::LanguageModel).count();
    if asked == 0 {
        return Ok(("nobody: no criterion asks a language model".to_owned(), None));
    }
    if options.stand_in {
        let nothing = StandInOptions { recogniser: None, processing_delay: Duration::ZERO, latency: Duration::ZERO };
        let stand_ins = StandIns::start(nothing).await.map_err(DemoError::from)?;
        config.language_model.base_url = stand_ins.openai_url();
        config.language_model.api_key = Some(stand_ins.openai_key());
        let name = "a STAND-IN that judges by the phrases in the guidance; no language model".to_owned();
        return Ok((name, Some(stand_ins)));
    }
    let elsewhere = config.language_model.base_url.host_str() != Some("api.openai.com");
    if config.language_model.api_key.is_none() && !elsewhere {
        return Err(TrialError::NoLanguageModel(asked));
    }
    Ok((format!("{} at {}", config.language_model.model, config.language_model.base_url), None))
}

async fn evaluate(
    api: &ApiClient,
    organization: &str,
    conversations: &[Conversation],
) -> Result<Vec<Outcome>, TrialError> {
    let bar = ProgressBar::new(conversations.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} conversations, {eta} left") {
        bar.set_style(style);
    }
    let (mut waiting, mut outcomes, mut last) = (Vec::<(usize, String)>::new(), vec![], Instant::now());
    let mut next = 0;
    while next < conversations.len() || !waiting.is_empty() {
        while next < conversations.len() && waiting.len() < AT_ONCE {
            waiting.push((next, send(api, organization, &conversations[next]).await?));
            next += 1;
        }
        let mut still = vec![];
        for (n, call_id) in waiting {
            // They end about in their order: behind the first that has not ended, few have.
            if still.len() >= 8 {
                still.push((n, call_id));
                continue;
            }
            let analysis = api.get(&format!("/api/calls/{call_id}/analysis")).await?;
            if !matches!(analysis["call_status"].as_str(), Some("evaluated" | "failed")) {
                still.push((n, call_id));
                continue;
            }
            bar.inc(1);
            last = Instant::now();
            let cost = match analysis["evaluation"]["evaluation_id"].as_str() {
                Some(id) => api.get(&format!("/api/evaluations/{id}/cost")).await?,
                None => Value::Null,
            };
            outcomes.push((n, Outcome::of(&conversations[n].external_id, analysis, cost)));
        }
        waiting = still;
        if last.elapsed() > PATIENCE {
            return Err(TrialError::Stuck(waiting.len() + conversations.len() - next));
        }
        if !waiting.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    bar.finish_and_clear();
    outcomes.sort_by_key(|(n, _)| *n);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

async fn send(api: &ApiClient, organization: &str, conversation: &Conversation) -> Result<String, TrialError> {
    let mut body = conversation.body.clone();
    body["organization_id"] = Value::from(organization);
    let refused = |why: String| TrialError::Refused { external_id: conversation.external_id.clone(), why };
    match api.post("/api/calls", &body).await {
        Ok(call) => call["call_id"].as_str().map(str::to_owned).ok_or_else(|| refused("no call_id".to_owned())),
        Err(DemoError::Refused { problem, .. }) => Err(refused(problem)),
        Err(other) => Err(other.into()),
    }
}
