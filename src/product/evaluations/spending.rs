//! What was spent, as it is read: on one evaluation and its criteria, and by an organization on a day.

use std::sync::Arc;

use chrono::NaiveDate;

use super::{
    cost::{Prices, shared, weights},
    model::Answer,
    reading::{EvaluationError, Evaluations},
};
use crate::{
    foundation::{
        access::Grant,
        ids::{EvaluationId, OrganizationId},
    },
    platform::{
        db::{Db, DbError, InTenant, Statements},
        plugins::Used,
    },
    product::scorecards::model::Criterion,
    sql,
};

/// What a criterion's answer cost: its share of the evaluation's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The criterion.
    pub criterion: String,
    /// Its share of the tokens of the question.
    pub prompt_tokens: u64,
    /// Its share of the tokens of the answer.
    pub completion_tokens: u64,
    /// Its share of the money, in millionths; none where there is no price.
    pub micros: Option<u64>,
    /// Its share of what plugins took: each criterion's is the same, but for what is left over.
    pub plugin: Used,
}

/// What the speech recognition of a call cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Who recognised.
    pub provider: String,
    /// How long the recording is.
    pub duration_ms: u64,
    /// In millionths; none where there is no price.
    pub micros: Option<u64>,
}

/// What an evaluation cost.
#[derive(Clone, Debug)]
pub struct EvaluationCost {
    /// The currency's name.
    pub currency: String,
    /// The model that answered.
    pub model: String,
    /// Tokens of the questions.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
    /// What the language model cost, in millionths; none where there was no price when it was asked.
    pub micros: Option<u64>,
    /// What the prompt builder and the scorer took, where these are plugins.
    pub plugin: Used,
    /// The speech recognition of the call, at today's price; none for a written conversation.
    pub audio: Option<Audio>,
    /// The shares of the criteria, in the order of the answers: together what the language model cost.
    pub criteria: Vec<Share>,
}

/// What an organization spent on one day (UTC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCost {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The day.
    pub day: NaiveDate,
    /// Evaluations.
    pub evaluations: i64,
    /// Tokens of questions that were paid.
    pub prompt_tokens: i64,
    /// Tokens of answers that were paid.
    pub completion_tokens: i64,
    /// What they cost, in millionths.
    pub micros: i64,
    /// Evaluations whose model had no price.
    pub unpriced: i64,
    /// What plugins took.
    pub plugin: Used,
}

/// The reading operations on costs. Cheap to clone.
#[derive(Clone)]
pub struct Spending {
    /// The door to data.
    pub db: Arc<Db>,
    /// Evaluations.
    pub evaluations: Evaluations,
    /// The price table.
    pub prices: Arc<Prices>,
}

impl Spending {
    /// What an evaluation cost.
    ///
    /// # Errors
    /// [`EvaluationError::NotFound`].
    pub async fn of_evaluation(&self, grant: &Grant, id: EvaluationId) -> Result<EvaluationCost, EvaluationError> {
        let found = self.evaluations.get(grant, id).await?;
        let on = self.db.alone(grant);
        let row = on.opt(sql!("evaluations/find_audio"), &[&id, &on.organizations()]).await?;
        let audio = row.map(|row| {
            let provider: String = row.try_get("provider")?;
            let duration_ms = unsigned(row.try_get::<_, Option<i64>>("duration_ms")?.unwrap_or(0));
            let micros = self.prices.audio(&provider, duration_ms);
            Ok::<_, DbError>(Audio { provider, duration_ms, micros })
        });
        let criteria: Vec<&Criterion> = found.definition.criteria().collect();
        let (prompt_tokens, completion_tokens) = (unsigned(found.prompt_tokens), unsigned(found.completion_tokens));
        let micros = found.cost_micros.map(unsigned);
        Ok(EvaluationCost {
            currency: self.prices.currency.clone(),
            criteria: shares(&criteria, &found.answers, (prompt_tokens, completion_tokens), micros, found.plugin),
            plugin: found.plugin,
            model: found.model,
            prompt_tokens,
            completion_tokens,
            micros,
            audio: audio.transpose()?,
        })
    }

    /// What each organization that the grant reaches, or one of them, spent on each day of a range; newest first.
    ///
    /// # Errors
    /// [`EvaluationError::Db`].
    pub async fn by_day(
        &self,
        grant: &Grant,
        organization: Option<OrganizationId>,
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<Vec<DayCost>, EvaluationError> {
        let on = self.db.alone(grant);
        let reached = grant.organizations().iter().copied();
        let organizations: Vec<_> = reached.filter(|one| organization.is_none_or(|only| only == *one)).collect();
        let rows = on.all(sql!("usage/list_costs"), &[&organizations, &from, &to]).await?;
        let day = |row: &tokio_postgres::Row| {
            Ok::<_, DbError>(DayCost {
                organization_id: row.try_get("organization_id")?,
                day: row.try_get("day")?,
                evaluations: row.try_get("evaluations")?,
                prompt_tokens: row.try_get("prompt_tokens")?,
                completion_tokens: row.try_get("completion_tokens")?,
                micros: row.try_get("cost_micros")?,
                unpriced: row.try_get("unpriced")?,
                plugin: Used {
                    fuel: unsigned(row.try_get("plugin_fuel")?),
                    elapsed_us: unsigned(row.try_get("plugin_us")?),
                },
            })
        };
        Ok(rows.iter().map(day).collect::<Result<_, _>>()?)
    }
}

/// Each criterion's share, in the order of the answers. Plugins run once for all criteria, so each has the same share of that.
pub fn shares(
    criteria: &[&Criterion],
    answers: &[Answer],
    tokens: (u64, u64),
    micros: Option<u64>,
    plugin: Used,
) -> Vec<Share> {
    let weights = weights(criteria, answers);
    let same = vec![1; answers.len()];
    let (fuel, elapsed_us) = (shared(plugin.fuel, &same), shared(plugin.elapsed_us, &same));
    let (prompt, completion) = (shared(tokens.0, &weights), shared(tokens.1, &weights));
    let money = micros.map(|micros| shared(micros, &weights));
    let each = answers.iter().enumerate().map(|(n, answer)| Share {
        criterion: answer.criterion.clone(),
        prompt_tokens: prompt[n],
        completion_tokens: completion[n],
        micros: money.as_ref().map(|money| money[n]),
        plugin: Used { fuel: fuel[n], elapsed_us: elapsed_us[n] },
    });
    each.collect()
}

/// No count in the tables is below zero.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
