//! Rows of `rescores` and `rescore_items`: one function per query file.

use chrono::{DateTime, Utc};
use tokio_postgres::{Row, types::Json};

use super::model::{Change, CriterionChange, Group, Progress, Range, Rescore, RescoreStatus};
use crate::{
    foundation::ids::{CallId, EvaluationId, OrganizationId, RescoreId, ScorecardVersionId},
    platform::{
        db::{DbError, InTenant, Statements, TenantTx},
        http::Listing,
    },
    product::{
        evaluations::{carry::Before, questions::HumanAnswer, receipt::Receipt, store as evaluations},
        scorecards::model::{Definition, ScorecardVersion},
    },
    sql,
};

type Param<'a> = &'a (dyn postgres_types::ToSql + Sync);

pub(super) async fn estimate(
    on: &impl InTenant,
    version: &ScorecardVersion,
    range: &Range,
) -> Result<Vec<Group>, DbError> {
    let only = &range.narrowed;
    let params: [Param<'_>; 13] = [
        &version.organization_id,
        &on.organizations(),
        &version.scorecard_version_id,
        &range.agent_id,
        &range.received_from,
        &range.received_before,
        &only.queue,
        &only.channel,
        &only.direction,
        &only.language,
        &only.scorecard_id,
        &only.score_from,
        &only.score_below,
    ];
    let rows = on.all(sql!("evaluations/estimate_rescore"), &params).await?;
    let groups = rows.iter().map(|row| {
        let Json(definition) = row.try_get("definition")?;
        Ok(Group {
            definition,
            calls: row.try_get("calls")?,
            outdated: row.try_get("outdated")?,
            prompt_tokens: row.try_get("prompt_tokens")?,
            completion_tokens: row.try_get("completion_tokens")?,
        })
    });
    groups.collect()
}

/// Writes a re-score down with its calls; returns how many they are.
pub(super) async fn insert(tx: &TenantTx<'_>, new: &Rescore) -> Result<u64, DbError> {
    let only = &new.range.narrowed;
    let params: [Param<'_>; 16] = [
        &new.organization_id,
        &tx.organizations(),
        &new.scorecard_version_id,
        &new.range.agent_id,
        &new.range.received_from,
        &new.range.received_before,
        &new.rescore_id,
        &new.requested_by,
        &new.created_at,
        &only.queue,
        &only.channel,
        &only.direction,
        &only.language,
        &only.scorecard_id,
        &only.score_from,
        &only.score_below,
    ];
    tx.execute(sql!("evaluations/insert_rescore"), &params).await
}

/// One re-score, and how far it is.
///
/// # Errors
/// [`DbError`].
pub async fn find(on: &impl InTenant, id: RescoreId) -> Result<Option<Rescore>, DbError> {
    let row = on.opt(sql!("evaluations/find_rescore"), &[&id, &on.organizations()]).await?;
    row.as_ref().map(rescore).transpose()
}

pub(super) async fn list(
    on: &impl InTenant,
    organizations: &[OrganizationId],
    listing: &Listing,
) -> Result<Vec<Rescore>, DbError> {
    let (at, id, most) = (listing.after_at(), listing.after_id(), listing.fetch());
    let rows = on.all(sql!("evaluations/list_rescores"), &[&organizations, &at, &id, &most]).await?;
    rows.iter().map(rescore).collect()
}

/// Asks a re-score to stop; `false` when it has ended.
pub(super) async fn request_cancel(tx: &TenantTx<'_>, id: RescoreId) -> Result<bool, DbError> {
    Ok(tx.execute(sql!("evaluations/request_rescore_cancel"), &[&id, &tx.organizations()]).await? == 1)
}

/// Begins or ends a re-score; `false` when it has ended before.
///
/// # Errors
/// [`DbError`].
pub async fn mark(
    tx: &TenantTx<'_>,
    id: RescoreId,
    status: RescoreStatus,
    ended_at: Option<DateTime<Utc>>,
) -> Result<bool, DbError> {
    let params: [Param<'_>; 4] = [&id, &tx.organizations(), &status, &ended_at];
    Ok(tx.execute(sql!("evaluations/move_rescore"), &params).await? == 1)
}

/// Takes up to `most` calls that wait; whoever takes them queues their jobs on the same transaction.
///
/// # Errors
/// [`DbError`].
pub async fn queue_items(tx: &TenantTx<'_>, id: RescoreId, most: i64) -> Result<Vec<CallId>, DbError> {
    let rows = tx.all(sql!("evaluations/queue_rescore_items"), &[&id, &tx.organizations(), &most]).await?;
    rows.iter().map(|row| Ok(row.try_get("call_id")?)).collect()
}

/// Leaves the calls alone that were not begun.
///
/// # Errors
/// [`DbError`].
pub async fn cancel_items(tx: &TenantTx<'_>, id: RescoreId) -> Result<(), DbError> {
    tx.execute(sql!("evaluations/cancel_rescore_items"), &[&id, &tx.organizations()]).await?;
    Ok(())
}

/// As much of a re-score as its pace needs.
pub struct Pace {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Whether it is to stop.
    pub cancel_requested: bool,
    /// Whether calls wait to be queued.
    pub waits: bool,
    /// Calls that are queued.
    pub queued: i64,
}

/// How a re-score goes on; looks at no call that was assessed.
///
/// # Errors
/// [`DbError`].
pub async fn pace(tx: &TenantTx<'_>, id: RescoreId) -> Result<Option<Pace>, DbError> {
    let row = tx.opt(sql!("evaluations/pace_rescore"), &[&id, &tx.organizations()]).await?;
    let pace = |row: Row| {
        Ok(Pace {
            organization_id: row.try_get("organization_id")?,
            cancel_requested: row.try_get("cancel_requested")?,
            waits: row.try_get("waits")?,
            queued: row.try_get("queued")?,
        })
    };
    row.map(pace).transpose()
}

/// One call of a re-score.
pub struct Item {
    /// Whether its turn has come and nothing came of it yet.
    pub is_due: bool,
    /// Whether the re-score is to stop.
    pub cancel_requested: bool,
    /// What the call is to be judged by.
    pub version: ScorecardVersion,
    /// The evaluation that it has.
    pub current: Option<Current>,
}

/// The evaluation that a call has, as far as its answers may be used again.
pub struct Current {
    /// Its id.
    pub evaluation_id: EvaluationId,
    /// The version that it is judged by.
    pub scorecard_version_id: ScorecardVersionId,
    /// What that version asks.
    pub definition: Definition,
    /// Which version of the transcript it judges.
    pub transcript_version: i32,
    /// What the language model said.
    pub raw_answer: String,
    /// Its receipt.
    pub receipt: Receipt,
    /// What people answered.
    pub human: Vec<HumanAnswer>,
}

impl Current {
    /// What people answered to the same questions about the same transcript, and what of it is outdated.
    pub fn carried(&self, definition: &Definition, transcript_version: i32) -> Vec<HumanAnswer> {
        let before = Before {
            evaluation_id: self.evaluation_id,
            definition: self.definition.clone(),
            transcript_version: self.transcript_version,
            human: self.human.clone(),
        };
        before.carried(definition, transcript_version)
    }
}

/// A call of a re-score; `None` when there is none.
///
/// # Errors
/// [`DbError`].
pub async fn find_item(on: &impl InTenant, id: RescoreId, call_id: CallId) -> Result<Option<Item>, DbError> {
    let query = sql!("evaluations/find_rescore_item");
    let Some(row) = on.opt(query, &[&id, &call_id, &on.organizations()]).await? else { return Ok(None) };
    let status: &str = row.try_get("item_status")?;
    let current = match row.try_get::<_, Option<EvaluationId>>("current_id")? {
        None => None,
        Some(evaluation_id) => {
            let Json::<Receipt>(receipt) = row.try_get("receipt")?;
            let Json(definition) = row.try_get("current_definition")?;
            Some(Current {
                evaluation_id,
                scorecard_version_id: receipt.scorecard_version_id,
                definition,
                transcript_version: row.try_get("transcript_version")?,
                raw_answer: row.try_get("raw_answer")?,
                receipt,
                human: row.try_get::<_, Json<_>>("human_answers")?.0,
            })
        }
    };
    Ok(Some(Item {
        is_due: status == "queued",
        cancel_requested: row.try_get("cancel_requested")?,
        version: evaluations::scorecard(&row, row.try_get("organization_id")?)?,
        current,
    }))
}

/// What came of one call of a re-score.
pub enum Outcome<'a> {
    /// It has a new revision, which waits for its score.
    Assessed {
        /// The revision.
        evaluation_id: EvaluationId,
        /// Questions that were asked.
        asked: usize,
        /// Questions whose answer was used again.
        reused: usize,
    },
    /// It was left alone.
    Skipped(&'a str),
    /// It could not be assessed.
    Failed(&'a str),
    /// The re-score was called off.
    Cancelled,
}

/// Tells what came of one call; `false` when that is told already.
///
/// # Errors
/// [`DbError`].
pub async fn end_item(
    tx: &TenantTx<'_>,
    id: RescoreId,
    call_id: CallId,
    outcome: &Outcome<'_>,
) -> Result<bool, DbError> {
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let (status, after, reason, asked, reused) = match outcome {
        Outcome::Assessed { evaluation_id, asked, reused } => {
            ("assessed", Some(*evaluation_id), None, Some(count(*asked)), Some(count(*reused)))
        }
        Outcome::Skipped(reason) => ("skipped", None, Some(*reason), None, None),
        Outcome::Failed(reason) => ("failed", None, Some(*reason), None, None),
        Outcome::Cancelled => ("cancelled", None, None, None, None),
    };
    let reason: Option<String> = reason.map(|reason| reason.chars().take(2_000).collect());
    let params: [Param<'_>; 8] = [&id, &call_id, &tx.organizations(), &status, &after, &reason, &asked, &reused];
    Ok(tx.execute(sql!("evaluations/end_rescore_item"), &params).await? == 1)
}

pub(super) async fn changes(on: &impl InTenant, id: RescoreId) -> Result<Vec<Change>, DbError> {
    let rows = on.all(sql!("evaluations/rescore_changes"), &[&id, &on.organizations()]).await?;
    let changes = rows.iter().map(|row| {
        let overall = |column| Ok::<_, DbError>(row.try_get::<_, Option<i32>>(column)?.map(i32::unsigned_abs));
        Ok(Change {
            call_id: row.try_get("call_id")?,
            agent_id: row.try_get("agent_id")?,
            agent_name: row.try_get("agent_name")?,
            before_id: row.try_get("before_id")?,
            after_id: row.try_get("after_id")?,
            before: overall("before_overall")?,
            after: overall("after_overall")?,
            passed_before: row.try_get("passed_before")?,
            passed_after: row.try_get("passed_after")?,
        })
    });
    changes.collect()
}

pub(super) async fn criteria(on: &impl InTenant, id: RescoreId) -> Result<Vec<CriterionChange>, DbError> {
    let rows = on.all(sql!("evaluations/rescore_criteria"), &[&id, &on.organizations()]).await?;
    let criteria = rows.iter().map(|row| {
        Ok(CriterionChange {
            key: row.try_get("criterion_key")?,
            calls: row.try_get("calls")?,
            pass_to_fail: row.try_get("pass_to_fail")?,
            fail_to_pass: row.try_get("fail_to_pass")?,
            counts_now: row.try_get("counts_now")?,
            counts_no_more: row.try_get("counts_no_more")?,
        })
    });
    criteria.collect()
}

fn rescore(row: &Row) -> Result<Rescore, DbError> {
    Ok(Rescore {
        rescore_id: row.try_get("rescore_id")?,
        organization_id: row.try_get("organization_id")?,
        scorecard_id: row.try_get("scorecard_id")?,
        scorecard_version_id: row.try_get("scorecard_version_id")?,
        version: row.try_get("version")?,
        range: Range {
            agent_id: row.try_get("agent_id")?,
            received_from: row.try_get("received_from")?,
            received_before: row.try_get("received_before")?,
            ..Range::default()
        },
        status: row.try_get("status")?,
        cancel_requested: row.try_get("cancel_requested")?,
        requested_by: row.try_get("requested_by")?,
        created_at: row.try_get("created_at")?,
        ended_at: row.try_get("ended_at")?,
        progress: Progress {
            total: row.try_get("total")?,
            waiting: row.try_get("waiting")?,
            running: row.try_get("running")?,
            evaluated: row.try_get("evaluated")?,
            skipped: row.try_get("skipped")?,
            failed: row.try_get("failed")?,
            cancelled: row.try_get("cancelled")?,
            asked: row.try_get("asked")?,
            reused: row.try_get("reused")?,
        },
    })
}
