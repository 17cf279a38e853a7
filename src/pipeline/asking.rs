//! One conversation with the language model about a call: the question, and one request to mend what cannot be used; of a long call, that for each of
//! its parts, one after the other. Every answer is stored before anything is done with it, and a question that was answered is not paid again.

use super::{Means, modes};
use crate::{
    foundation::access::Grant,
    platform::{
        db::{DbError, TenantTx},
        jobs::JobError,
        providers::{
            Tokens,
            llm::{Completed, Completion},
        },
        tenancy::quotas,
    },
    product::{
        evaluations::{
            answer::{self, AnswerError},
            memory::{self, Of},
            parts::said,
            prompt::Built,
            questions::unusable,
            schema,
            store::NewEvaluation,
        },
        scorecards::model::Criterion,
    },
};

/// Mistakes that are told to the model, at most.
const MISTAKES_TOLD: usize = 20;

/// Who asks about what.
pub(super) struct Asking<'a> {
    pub means: &'a Means,
    pub grant: &'a Grant,
    pub of: Of,
}

/// What all exchanges of one assessment came to.
pub(super) struct Heard {
    /// One text that answers what was asked, or one of the answers about all parts; the usable criteria come from the first answer, or from the mended
    /// one.
    pub raw: String,
    /// The model that answered; when it was changed between two parts, all its names.
    pub model: String,
    /// The provider's name for the configuration that answered; likewise.
    pub fingerprint: Option<String>,
    /// What besides the question decided the answer.
    pub parameters: serde_json::Value,
    /// Tokens of all exchanges, also of those that were paid before.
    pub prompt_tokens: u64,
    /// The same of the answers.
    pub completion_tokens: u64,
    /// What is not in the usage yet.
    pub due: Due,
}

/// Tokens that are to be counted with the evaluation, and the answers that they are of.
#[derive(Default)]
pub(super) struct Due {
    pub digests: Vec<String>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Those of them that no stored answer has: they were paid for what was cut, filtered or refused.
    pub unkept: Tokens,
}

impl Due {
    fn add(&mut self, more: Self) {
        self.prompt_tokens += more.prompt_tokens;
        self.completion_tokens += more.completion_tokens;
        self.unkept.prompt += more.unkept.prompt;
        self.unkept.completion += more.unkept.completion;
        self.digests.extend(more.digests);
    }
}

/// Answers as they come in.
#[derive(Default)]
struct Ledger {
    /// Those to the part that is being asked about.
    asked: Vec<String>,
    /// What is due of them.
    of_part: Due,
    /// What is due of the parts before.
    due: Due,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// Answers of which nothing can be used.
    hopeless: Vec<String>,
    models: Vec<String>,
    fingerprints: Vec<String>,
}

impl Ledger {
    /// Notes what was paid for an answer that nobody can use.
    fn failed(&mut self, spent: Tokens) {
        self.prompt_tokens += spent.prompt;
        self.completion_tokens += spent.completion;
        let Tokens { prompt: prompt_tokens, completion: completion_tokens } = spent;
        self.of_part.add(Due { digests: vec![], prompt_tokens, completion_tokens, unkept: spent });
    }
}

impl Asking<'_> {
    /// Asks, of a long call once about each part, and once more when something of an answer cannot be used. An answer of which something can be used
    /// is an answer.
    ///
    /// # Errors
    /// A provider's, and [`JobError::Permanent`] when nothing can be used after the second answer either: its kind is [`AnswerError::code`].
    pub(super) async fn ask(&self, built: &Built, asked: &[&Criterion]) -> Result<Heard, JobError> {
        let mut ledger = Ledger::default();
        let heard = self.ask_all(built, asked, &mut ledger).await;
        if heard.is_err() {
            self.lose(ledger).await?;
            modes::record_alone(self.means, self.grant, &built.runs).await?;
        }
        heard
    }

    async fn ask_all(&self, built: &Built, asked: &[&Criterion], ledger: &mut Ledger) -> Result<Heard, JobError> {
        let (mut texts, mut parameters) = (vec![], serde_json::Value::Null);
        for prompt in &built.prompts {
            let question = Completion {
                system: prompt.system.clone(),
                user: prompt.user.clone(),
                schema_name: schema::NAME.to_owned(),
                schema: built.schema.clone(),
                max_output_tokens: prompt.max_output_tokens,
            };
            texts.push(self.usable(&question, asked, ledger).await?);
            ledger.due.add(std::mem::take(&mut ledger.of_part));
            parameters = self.means.language_model.parameters(&question);
        }
        let keys: Vec<&str> = asked.iter().map(|criterion| criterion.key.as_str()).collect();
        let raw = match built.parts.as_slice() {
            [] => texts.pop(),
            parts => said::of_parts(parts, &texts, &keys),
        };
        // An answer of which something can be used is an object.
        let shape = AnswerError::Shape { line: 1, column: 1 };
        let raw = raw.ok_or_else(|| JobError::Permanent { kind: shape.code(), reason: shape.to_string() })?;
        Ok(Heard {
            raw,
            model: ledger.models.join(", "),
            fingerprint: (!ledger.fingerprints.is_empty()).then(|| ledger.fingerprints.join(", ")),
            parameters,
            prompt_tokens: ledger.prompt_tokens,
            completion_tokens: ledger.completion_tokens,
            due: std::mem::take(&mut ledger.due),
        })
    }

    /// An answer of which something can be used.
    async fn usable(
        &self,
        question: &Completion,
        asked: &[&Criterion],
        ledger: &mut Ledger,
    ) -> Result<String, JobError> {
        ledger.asked.clear();
        let first = self.once(question, ledger).await?;
        note(&mut ledger.models, Some(&first.model));
        note(&mut ledger.fingerprints, first.fingerprint.as_ref());
        match unusable(&first.content, asked) {
            Ok(wrong) if wrong.is_empty() => Ok(first.content),
            found => self.mended(question, &first, found, asked, ledger).await,
        }
    }

    /// Asks for what was unusable, telling what is wrong with it and nothing of what it said.
    async fn mended(
        &self,
        question: &Completion,
        first: &Completed,
        found: Result<Vec<(&str, AnswerError)>, AnswerError>,
        asked: &[&Criterion],
        ledger: &mut Ledger,
    ) -> Result<String, JobError> {
        let (keys, mistakes): (Vec<&str>, Vec<AnswerError>) = match found {
            Ok(wrong) => wrong.into_iter().unzip(),
            Err(error) => (asked.iter().map(|criterion| criterion.key.as_str()).collect(), vec![error]),
        };
        let all = keys.len() == asked.len();
        let again: Vec<_> = asked.iter().copied().filter(|criterion| keys.contains(&criterion.key.as_str())).collect();
        tracing::warn!(kind = mistakes[0].code(), criteria = keys.len(), "the model's answer is asked for again");
        let told: Vec<String> = mistakes.iter().take(MISTAKES_TOLD).map(|error| format!("- {error}")).collect();
        let repair = Completion {
            system: format!(
                "{}\n\nAn answer before this one could not be used:\n{}\nAnswer the criteria {} again, and no others.",
                question.system,
                told.join("\n"),
                keys.join(", ")
            ),
            schema: schema::of(&again),
            ..question.clone()
        };
        let second = match self.once(&repair, ledger).await {
            Ok(second) => second,
            // What can be used of the first answer is not lost with the second.
            Err(JobError::Permanent { .. }) if !all => return Ok(first.content.clone()),
            Err(error) => return Err(error),
        };
        let raw = match all {
            true => second.content,
            false => answer::merged(&first.content, &second.content, &keys).unwrap_or_else(|| first.content.clone()),
        };
        let hopeless = match unusable(&raw, asked) {
            Ok(wrong) if wrong.len() < asked.len() => return Ok(raw),
            Ok(wrong) => wrong.into_iter().next().map(|(_, error)| error),
            Err(error) => Some(error),
        };
        ledger.hopeless.clone_from(&ledger.asked);
        let error = hopeless.unwrap_or(AnswerError::Shape { line: 1, column: 1 });
        Err(JobError::Permanent { kind: error.code(), reason: error.to_string() })
    }

    /// Counts what was paid so far although there is no evaluation, and forgets what cannot be used: whoever retries the call has the model asked anew
    /// about that part, and about no part before.
    async fn lose(&self, mut ledger: Ledger) -> Result<(), JobError> {
        let model = ledger.models.join(", ");
        ledger.due.add(ledger.of_part);
        self.count(&ledger.due, &model).await?;
        if !ledger.hopeless.is_empty() {
            memory::forget(&self.means.db.alone(self.grant), self.of.call_id, &ledger.hopeless).await?;
        }
        Ok(())
    }

    /// Counts what was paid and comes to no evaluation: in the tenant's tokens of the day and in the organization's costs. An answer that is used later
    /// is not counted again.
    pub(super) async fn count(&self, due: &Due, model: &str) -> Result<(), JobError> {
        if due.digests.is_empty() && due.unkept == Tokens::default() {
            return Ok(());
        }
        let Means { db, clock, language_model, prices, .. } = self.means;
        let model = if model.is_empty() { language_model.model() } else { model };
        let Of { call_id, organization_id, .. } = self.of;
        db.tenant(self.grant, "assess.count", async |tx| {
            let (prompt, completion) = memory::settle(tx, call_id, &due.digests).await?;
            let tokens = (prompt + due.unkept.prompt, completion + due.unkept.completion);
            let micros = prices.tokens(model, tokens.0, tokens.1);
            quotas::count_paid(tx, organization_id, tokens, micros, clock.now()).await
        })
        .await?;
        Ok(())
    }

    /// One exchange, unless it took place before.
    async fn once(&self, question: &Completion, ledger: &mut Ledger) -> Result<Completed, JobError> {
        let Means { db, clock, language_model, .. } = self.means;
        let digest = memory::request_digest(language_model.as_ref(), question);
        let remembered = memory::find(&db.alone(self.grant), self.of.call_id, &digest).await?;
        let (completed, counted) = match remembered {
            Some(remembered) => (remembered.completed, remembered.counted),
            None => {
                let completed = match language_model.complete(question).await {
                    Ok(completed) => completed,
                    Err(error) => {
                        ledger.failed(error.spent());
                        return Err(error.into());
                    }
                };
                let on = db.alone(self.grant);
                memory::keep(&on, self.of, &digest, language_model.name(), &completed, clock.now()).await?;
                (completed, false)
            }
        };
        ledger.prompt_tokens += completed.prompt_tokens;
        ledger.completion_tokens += completed.completion_tokens;
        if !counted {
            ledger.of_part.prompt_tokens += completed.prompt_tokens;
            ledger.of_part.completion_tokens += completed.completion_tokens;
            ledger.of_part.digests.push(digest.clone());
        }
        ledger.asked.push(digest);
        Ok(completed)
    }
}

/// Notes another name.
fn note(names: &mut Vec<String>, name: Option<&String>) {
    if let Some(name) = name.filter(|name| !names.contains(name)) {
        names.push(name.clone());
    }
}

/// Counts an evaluation with what was paid for it: the tenant's tokens of the day, where a language model was asked, and the organization's costs. The
/// answers are not counted again.
pub(super) async fn account(
    tx: &TenantTx<'_>,
    new: &NewEvaluation<'_>,
    due: Option<&Due>,
    micros: Option<u64>,
) -> Result<(), DbError> {
    let now = new.assessed_at;
    if let Some(due) = due.filter(|due| !due.digests.is_empty()) {
        memory::counted(tx, new.call_id, &due.digests).await?;
    }
    let tokens = due.map_or((0, 0), |due| (due.prompt_tokens, due.completion_tokens));
    quotas::count_cost(tx, new.organization_id, tokens, micros, now).await?;
    quotas::count_plugin_run(tx, new.organization_id, (new.plugin.fuel, new.plugin.elapsed_us), now).await?;
    match due {
        Some(_) => quotas::count_evaluation(tx, tokens.0, tokens.1, now).await,
        None => Ok(()),
    }
}
