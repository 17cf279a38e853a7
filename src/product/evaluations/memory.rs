//! Answers that the language model was paid for: stored before anything is done with them, so that neither a crash nor a retry buys the same
//! answer to the same question about a call again. One function per query file.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::{
    foundation::{
        digest,
        ids::{AgentId, CallId, OrganizationId},
    },
    platform::{
        db::{DbError, InTenant},
        providers::llm::{Completed, Completion, LanguageModel},
    },
    sql,
};

/// A stored answer.
pub struct Remembered {
    /// What the model said.
    pub completed: Completed,
    /// Whether its tokens are in the usage already.
    pub counted: bool,
}

/// What is stored beside an answer.
#[derive(Clone, Copy)]
pub struct Of {
    /// The call that was asked about.
    pub call_id: CallId,
    /// The organization that owns it.
    pub organization_id: OrganizationId,
    /// Who was heard.
    pub agent_id: Option<AgentId>,
}

/// The digest of everything that would be sent: equal questions to an equal model under equal parameters have equal digests.
pub fn request_digest(model: &dyn LanguageModel, question: &Completion) -> String {
    digest::of_json(&json!({
        "provider": model.name(),
        "model": model.model(),
        "parameters": model.parameters(question),
        "system": question.system,
        "user": question.user,
        "schema": question.schema,
    }))
}

/// What was answered to the question before.
///
/// # Errors
/// [`DbError`].
pub async fn find(on: &impl InTenant, call_id: CallId, digest: &str) -> Result<Option<Remembered>, DbError> {
    let row = on.opt(sql!("evaluations/find_model_answer"), &[&call_id, &digest, &on.organizations()]).await?;
    let Some(row) = row else { return Ok(None) };
    let tokens = |column: &str| Ok::<_, DbError>(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0));
    Ok(Some(Remembered {
        completed: Completed {
            content: row.try_get("content")?,
            model: row.try_get("model")?,
            fingerprint: row.try_get("fingerprint")?,
            prompt_tokens: tokens("prompt_tokens")?,
            completion_tokens: tokens("completion_tokens")?,
            request_id: None,
        },
        counted: row.try_get("counted")?,
    }))
}

/// Stores an answer.
///
/// # Errors
/// [`DbError`].
pub async fn keep(
    on: &impl InTenant,
    of: Of,
    digest: &str,
    provider: &str,
    completed: &Completed,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let whole = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let (prompt, completion) = (whole(completed.prompt_tokens), whole(completed.completion_tokens));
    // JSON may carry U+0000 only escaped, so the text itself has none that PostgreSQL would refuse.
    let row: [&(dyn postgres_types::ToSql + Sync); 11] = [
        &of.call_id,
        &digest,
        &of.organization_id,
        &of.agent_id,
        &provider,
        &completed.model,
        &completed.fingerprint,
        &completed.content,
        &prompt,
        &completion,
        &now,
    ];
    on.execute(sql!("evaluations/keep_model_answer"), &row).await?;
    Ok(())
}

/// Takes answers out that cannot be used, so that a later attempt asks anew.
///
/// # Errors
/// [`DbError`].
pub async fn forget(on: &impl InTenant, call_id: CallId, digests: &[String]) -> Result<(), DbError> {
    on.execute(sql!("evaluations/forget_model_answers"), &[&call_id, &digests, &on.organizations()]).await?;
    Ok(())
}

/// Notes that the tokens of these answers are in the usage, and gives the tokens of questions and answers that were not: whoever else settles the same
/// answers gets none.
///
/// # Errors
/// [`DbError`].
pub async fn settle(on: &impl InTenant, call_id: CallId, digests: &[String]) -> Result<(u64, u64), DbError> {
    let query = sql!("evaluations/settle_model_answers");
    let row = on.one(query, &[&call_id, &digests, &on.organizations()]).await?;
    let tokens = |column: &str| Ok::<_, DbError>(row.try_get::<_, i64>(column)?.unsigned_abs());
    Ok((tokens("prompt_tokens")?, tokens("completion_tokens")?))
}

/// Notes that the tokens of these answers are in the usage.
///
/// # Errors
/// [`DbError`].
pub async fn counted(on: &impl InTenant, call_id: CallId, digests: &[String]) -> Result<(), DbError> {
    on.execute(sql!("evaluations/count_model_answers"), &[&call_id, &digests, &on.organizations()]).await?;
    Ok(())
}
