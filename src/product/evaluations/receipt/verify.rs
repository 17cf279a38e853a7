//! An evaluation computed again from a bundle, part by part: the same code in the server and on the command line.

use chrono::DateTime;
use serde_json::Value;

use super::{
    About, Material, Receipt, Scoring, bundle::Bundle, human_digest, metrics_digest, prompt_digest, transcript_digest,
};
use crate::{
    foundation::digest,
    platform::plugins::{Identity, Plugin, PromptInput, ScoreInput, ScoreOutput, Scorecard, Scorer},
    product::{
        evaluations::{
            insights,
            model::{Answer, Insight},
            parts::{self, Span, said},
            prompt::{self, BoundBuilder},
            questions::{self, Questions, READER},
            scoring::{self, Case, Scored},
        },
        plugins::model::FailurePolicy,
        scorecards::model::Criterion,
    },
    words,
};

words! {
    /// What came of computing one part again.
    pub enum Finding {
        /// It is as the receipt says.
        Same = "same",
        /// It is not.
        Differs = "differs",
        /// It cannot be told here.
        CannotBeComputed = "cannot_be_computed",
    }
}

/// One part of an evaluation, computed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub part: &'static str,
    /// What came of it.
    pub finding: Finding,
    /// Why it differs or cannot be computed, in words that quote nothing of the call.
    pub why: Option<String>,
}

/// What came of computing an evaluation again.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every part, in the order of the computation.
    pub parts: Vec<Part>,
    /// The overall score that the receipt names, in hundredths.
    pub recorded: Option<u32>,
    /// The scores as they were computed again.
    pub output: Option<ScoreOutput>,
    /// The answers as they were computed again.
    pub answers: Option<Vec<Answer>>,
    /// What was believed without proof.
    pub believed: Believed,
}

/// What is believed without proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Believed {
    /// That the bundle's own key is the tenant's: then anybody can have made it.
    pub any_key: bool,
    /// What nobody signed.
    pub unsigned: bool,
}

/// What a bundle does not hold: recordings, plugins, and which keys are to be trusted.
#[derive(Clone, Debug, Default)]
pub struct Provided {
    /// Plugins, which are found by their digest.
    pub plugins: Vec<Plugin>,
    /// Why plugins are missing that could have been had.
    pub without_plugins: Option<String>,
    /// SHA-256 of the recording.
    pub audio: Option<String>,
    /// Public keys to trust, in base64; none when they are not known.
    pub keys: Option<Vec<String>>,
    /// Why they are not known.
    pub without_keys: Option<String>,
    /// What is believed without proof.
    pub believed: Believed,
}

impl Report {
    /// What it comes to: it differs when any part does, and is the same when no part does, the scores were computed, and a trusted key signed it.
    pub fn verdict(&self) -> Finding {
        let same = |part: &str| self.finding(part) == Some(Finding::Same);
        if self.parts.iter().any(|part| part.finding == Finding::Differs) {
            Finding::Differs
        } else if same("overall") && same("scores") && self.is_vouched_for() {
            Finding::Same
        } else {
            Finding::CannotBeComputed
        }
    }

    /// Whether a key signed it that is known to be the tenant's.
    pub fn is_key_trusted(&self) -> bool {
        self.finding("signature") == Some(Finding::Same) && self.finding("receipt_key") == Some(Finding::Same)
    }

    fn is_vouched_for(&self) -> bool {
        match self.finding("signature") {
            Some(Finding::Same) => self.believed.any_key || self.is_key_trusted(),
            Some(Finding::CannotBeComputed) => self.believed.unsigned,
            Some(Finding::Differs) | None => false,
        }
    }

    /// What came of a part; none when it was not looked at.
    pub fn finding(&self, part: &str) -> Option<Finding> {
        self.parts.iter().find(|found| found.part == part).map(|found| found.finding)
    }

    /// Notes what came of a part.
    pub fn note(&mut self, part: &'static str, same: bool) {
        let finding = if same { Finding::Same } else { Finding::Differs };
        self.parts.push(Part { part, finding, why: None });
    }

    /// Notes what came of a part that can only be the same: `unlike` is why it may be another here.
    fn compare(&mut self, part: &'static str, same: bool, unlike: Option<&str>) {
        match unlike {
            Some(why) if !same => self.cannot(part, why),
            _ => self.note(part, same),
        }
    }

    /// Notes that a part differs, and why.
    pub fn differs(&mut self, part: &'static str, why: impl Into<String>) {
        self.parts.push(Part { part, finding: Finding::Differs, why: Some(why.into()) });
    }

    /// Notes that a part cannot be told, and why.
    pub fn cannot(&mut self, part: &'static str, why: impl Into<String>) {
        self.parts.push(Part { part, finding: Finding::CannotBeComputed, why: Some(why.into()) });
    }
}

/// Computes everything again that is deterministic.
pub async fn verify(bundle: &Bundle, receipt: &Receipt, provided: &Provided) -> Report {
    let recorded = receipt.scoring.as_ref().and_then(|scoring| scoring.overall);
    let mut report = Report { recorded, believed: provided.believed, ..Report::default() };
    signature(bundle, receipt, provided, &mut report);
    let Some(about) = &receipt.about else {
        report.cannot("scores", "the receipt is of format 1, which does not name its circumstances");
        return report;
    };
    if receipt.masked {
        report.cannot("scores", "the evaluation is a masked copy: what it was made of is not there");
        return report;
    }
    material(bundle, receipt, about, provided, &mut report);
    built_prompt(bundle, receipt, about, provided, &mut report).await;
    let Some(scoring) = &receipt.scoring else {
        report.cannot("scores", "the evaluation is not scored yet");
        return report;
    };
    scored(bundle, receipt, about, scoring, provided, &mut report).await;
    report
}

fn signature(bundle: &Bundle, receipt: &Receipt, provided: &Provided, report: &mut Report) {
    let Some(checked) = bundle.receipt.checked() else {
        match receipt.signed_by {
            None => {
                report.cannot("signature", "the receipt is unsigned: the server had no master key when it was made")
            }
            Some(_) => report.differs("signature", "the receipt names a key, and its signature is gone"),
        }
        return;
    };
    match checked {
        Err(error) => report.differs("signature", error.to_string()),
        Ok(()) if receipt.signed_by.is_none() => report.differs("signature", "the receipt names no key"),
        Ok(()) => report.note("signature", true),
    }
    let key = bundle.receipt.public_key.as_deref().unwrap_or_default();
    match &provided.keys {
        Some(keys) if keys.iter().any(|trusted| trusted == key) => report.note("receipt_key", true),
        Some(_) => report.differs("receipt_key", "it is none of the tenant's keys"),
        None => {
            let why = provided.without_keys.as_deref().unwrap_or("the tenant's keys are not known here");
            report.cannot("receipt_key", why);
        }
    }
}

/// What the computation starts from.
fn material(bundle: &Bundle, receipt: &Receipt, about: &About, provided: &Provided, report: &mut Report) {
    match (&about.audio, &provided.audio) {
        (None, None) => {}
        (None, Some(_)) => report.differs("audio", "the call was written and has no recording"),
        (Some(_), None) => report.cannot("audio", "the recording is not at hand"),
        (Some(then), Some(now)) => report.note("audio", then == now),
    }
    let transcript = transcript_digest(&bundle.transcript);
    report.note("transcript", transcript == receipt.transcript);
    report.note("redaction", bundle.redaction.digest() == about.redaction);
    report.note("metrics", metrics_digest(&bundle.metrics) == about.metrics);
    report.note("scorecard", bundle.scorecard.digest() == receipt.scorecard);
    report.note("raw_answer", digest::of_bytes(bundle.raw_answer.as_bytes()) == receipt.raw_answer);
    report.note("human_answers", human_digest(&bundle.human_answers) == about.human_answers);
}

/// The prompt as it was asked: of the criteria that were asked about, by the builder that asked.
async fn built_prompt(bundle: &Bundle, receipt: &Receipt, about: &About, provided: &Provided, report: &mut Report) {
    let settings = bundle.prompt_settings.as_ref();
    report.note("prompt_settings", settings.map(digest::of_json) == about.prompt_settings);
    if about.asked.as_ref().is_some_and(Vec::is_empty) {
        let why = "nothing was asked here: no criterion is the language model's, or its answers were used again and the receipt of the evaluation that they were given in has the prompt";
        report.cannot("prompt", why);
        return;
    }
    asked_in_parts(bundle, about, report);
    let (input, asked) = prompt_input(bundle, about);
    let built = match &receipt.prompt_builder.sha256 {
        None => prompt::build_parts(None, &input, &asked, &about.parts).await,
        Some(sha256) => {
            let Some(plugin) = provided.plugins.iter().find(|plugin| plugin.sha256() == sha256) else {
                report.cannot("prompt", missing("prompt builder", sha256, provided));
                return;
            };
            let builder = plugin.prompt_builder(&settings.cloned().unwrap_or_default().to_string());
            let bound = BoundBuilder { builder: builder.as_deref().map_err(Clone::clone), policy: FailurePolicy::Fail };
            prompt::build_parts(Some(bound), &input, &asked, &about.parts).await
        }
    };
    let built = match built {
        Ok(built) => built,
        Err(error) => return report.cannot("prompt", format!("the prompt builder failed: {}", error.code())),
    };
    let same = prompt_digest(&built.prompts) == receipt.prompt;
    report.compare("prompt", same, of_another_version(&receipt.prompt_builder, &built.builder).as_deref());
    // Of an earlier evaluation it is not said what read the answers there.
    let elsewhere = || "the question was asked for an earlier evaluation, perhaps by another version".to_owned();
    let unlike = of_another_reader(about).or_else(|| (about.asked_in != about.evaluation_id).then(elsewhere));
    report.compare("schema", digest::of_json(&built.schema) == receipt.schema, unlike.as_deref());
}

/// What the prompt builder was given, and the criteria that were asked about.
pub fn prompt_input<'a>(bundle: &'a Bundle, about: &About) -> (PromptInput, Vec<&'a Criterion>) {
    let keys = about.asked.as_ref();
    let asked: Vec<&Criterion> =
        bundle.scorecard.criteria().filter(|one| keys.is_none_or(|keys| keys.contains(&one.key))).collect();
    let input = PromptInput {
        call: about.call.clone(),
        utterances: bundle.transcript.clone(),
        scorecard: asked_of(bundle, about),
        seed: about.asked_in.0.as_u64_pair().1,
        evaluated_at_ms: about.asked_at_ms,
        metadata: prompt::metadata(&asked),
    };
    (input, asked)
}

/// Where the language model was asked about parts: that they leave nothing out, and that each was answered.
fn asked_in_parts(bundle: &Bundle, about: &About, report: &mut Report) {
    if about.parts.is_empty() {
        return;
    }
    let said = said::members(&bundle.raw_answer).unwrap_or_default();
    let answered = |part: &Span| said.iter().any(|said| said.utterances == Some(*part));
    if !parts::cover(&about.parts, &bundle.transcript) {
        report.differs("parts", "the parts leave out something of the transcript");
    } else if !about.parts.iter().all(answered) {
        report.differs("parts", "a part was not answered");
    } else {
        report.note("parts", true);
    }
}

/// The scorecard as far as the language model was asked about it.
fn asked_of(bundle: &Bundle, about: &About) -> Scorecard {
    let mut scorecard = bundle.scorecard.for_plugins(bundle.scorecard_version);
    if let Some(asked) = &about.asked {
        let asked: Vec<&Criterion> = bundle.scorecard.criteria().filter(|one| asked.contains(&one.key)).collect();
        scorecard = questions::only(scorecard, &asked);
    }
    scorecard
}

async fn scored(
    bundle: &Bundle,
    receipt: &Receipt,
    about: &About,
    scoring: &Scoring,
    provided: &Provided,
    report: &mut Report,
) {
    let settings = bundle.scorer_settings.as_ref();
    report.note("settings", settings.map(digest::of_json) == scoring.settings);
    let answers = match answers(bundle) {
        Ok(answers) => answers,
        Err(why) => {
            return match of_another_reader(about) {
                Some(unlike) => report.cannot("answers", unlike),
                None => report.differs("answers", why),
            };
        }
    };
    let Some(material) = material_of(bundle, about) else {
        return report.cannot("input", "the time of the assessment is out of range");
    };
    let input = material.score_input(&answers);
    let case = Case::of(&material, &bundle.raw_answer, &answers, &input);
    let scorer = scorer(scoring, settings, provided);
    let scored = match &scorer {
        Ok(scorer) => {
            let scored = scoring::score_by(scorer.as_ref(), &case).await;
            scored.map_err(|error| format!("the scorer failed: {}", error.code()))
        }
        Err(why) => Err(why.clone()),
    };
    let answers_itself = case.open.is_some() && scoring.scorer.sha256.is_some();
    let outcome = match scored {
        Ok(Scored { answered, output, .. }) => {
            let (answers, input) = answered.map_or((answers, input), |own| (own.answers, own.input));
            Ok((answers, input, output))
        }
        Err(why) if answers_itself => {
            // What a plugin answers is not known without it.
            report.cannot("answers", why.clone());
            report.cannot("input", why.clone());
            Err(why)
        }
        Err(why) => {
            given(&answers, &input, (receipt, about, scoring), report);
            report.answers = Some(answers);
            Err(why)
        }
    };
    let (answers, input, output) = match outcome {
        Ok(outcome) => outcome,
        Err(why) => return report.cannot("scores", why),
    };
    given(&answers, &input, (receipt, about, scoring), report);
    if let Ok(scorer) = &scorer {
        let mut found = insights::of(&input.scorecard, &answers, &output);
        found.extend(insights::of_voices(&input.utterances));
        compared((about, scoring), scorer.identity(), (&output, &found), report);
        report.output = Some(output);
    }
    report.answers = Some(answers);
}

/// The answers, and what the scorer was given.
fn given(
    answers: &[Answer],
    input: &ScoreInput,
    (receipt, about, scoring): (&Receipt, &About, &Scoring),
    report: &mut Report,
) {
    let unlike = of_another_reader(about);
    report.compare("answers", digest::of_json(&answers) == receipt.answers, unlike.as_deref());
    report.compare("input", digest::of_json(input) == scoring.input, unlike.as_deref());
}

/// Who scored, and what came of it.
fn compared(
    (about, scoring): (&About, &Scoring),
    now: &Identity,
    (output, found): (&ScoreOutput, &[Insight]),
    report: &mut Report,
) {
    let unlike = of_another_version(&scoring.scorer, now);
    match (&scoring.scorer.engine, &now.engine) {
        (Some(then), Some(here)) if then != here => {
            report.cannot("engine", format!("it was scored under {then}, and computed again under {here}"));
        }
        (then, here) => report.note("engine", then == here),
    }
    match &unlike {
        Some(why) => report.cannot("scorer", why.clone()),
        None => report.note("scorer", like(&scoring.scorer, now)),
    }
    let unlike = unlike.or_else(|| of_another_reader(about));
    let outcome = [
        ("scores", digest::of_json(output) == scoring.scores),
        ("overall", output.overall == scoring.overall),
        ("insights", digest::of_json(&found) == scoring.insights),
    ];
    for (part, same) in outcome {
        report.compare(part, same, unlike.as_deref());
    }
}

/// What the scorer's input was made of; none when the time of the assessment is out of range.
pub fn material_of(bundle: &Bundle, about: &About) -> Option<Material> {
    Some(Material {
        evaluation_id: about.evaluation_id,
        assessed_at: DateTime::from_timestamp_millis(about.assessed_at_ms)?,
        call: about.call.clone(),
        transcript: bundle.transcript.clone(),
        metrics: bundle.metrics.clone(),
        scorecard: bundle.scorecard.for_plugins(bundle.scorecard_version),
        definition: bundle.scorecard.clone(),
        human: bundle.human_answers.clone(),
    })
}

/// The answers before any of a plugin's.
///
/// # Errors
/// Why the language model's text cannot be read.
pub fn answers(bundle: &Bundle) -> Result<Vec<Answer>, String> {
    let questions = Questions::of(&bundle.scorecard, &bundle.transcript, &bundle.metrics);
    questions.answers(&bundle.raw_answer, &bundle.human_answers).map_err(|error| error.to_string())
}

fn scorer(
    scoring: &Scoring,
    settings: Option<&Value>,
    provided: &Provided,
) -> Result<std::sync::Arc<dyn Scorer>, String> {
    let Some(sha256) = &scoring.scorer.sha256 else { return Ok(std::sync::Arc::new(scoring::BuiltIn)) };
    let plugin = provided.plugins.iter().find(|plugin| plugin.sha256() == sha256);
    let plugin = plugin.ok_or_else(|| missing("scorer", sha256, provided))?;
    let settings = settings.cloned().unwrap_or_default().to_string();
    plugin.scorer(&settings).map_err(|error| format!("the scorer cannot be used: {}", error.code()))
}

fn missing(what: &str, sha256: &str, provided: &Provided) -> String {
    let why = provided.without_plugins.as_deref().unwrap_or("it is not at hand");
    format!("the {what} is a plugin with the SHA-256 {sha256}: {why}")
}

/// The same code, whatever engine runs it.
fn like(then: &Identity, now: &Identity) -> bool {
    let parts = |identity: &Identity| {
        (identity.name.clone(), identity.version.clone(), identity.sha256.clone(), identity.wit.clone())
    };
    parts(then) == parts(now)
}

/// Why what this program reads in the model's text cannot be held against what another version read.
fn of_another_reader(about: &About) -> Option<String> {
    (about.reader != READER).then(|| format!("it was read by {}, and this program has {READER}", about.reader))
}

/// Why the built-in code of this program cannot be held against that of another version.
fn of_another_version(then: &Identity, now: &Identity) -> Option<String> {
    let built_in = then.sha256.is_none() && now.sha256.is_none();
    (built_in && then.version != now.version).then(|| {
        format!("it was made by {} {}, and this program has {} {}", then.name, then.version, now.name, now.version)
    })
}
