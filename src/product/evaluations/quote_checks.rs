//! How the model's evidence holds: quotes that were held against transcripts, and the share of those that are in none.

use chrono::NaiveDate;
use poem_openapi::Enum;

use super::reading::{EvaluationError, Evaluations};
use crate::{
    foundation::{
        access::Grant,
        ids::{OrganizationId, ScorecardId, ScorecardVersionId},
    },
    platform::db::{DbError, Statements},
    sql,
};

/// How long the periods are in which quotes are counted (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "QuoteCheckPeriod", rename_all = "snake_case")]
pub enum Period {
    /// A day.
    #[default]
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
}

impl Period {
    fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// Quotes under one scorecard version in one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteCheck {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The scorecard.
    pub scorecard_id: ScorecardId,
    /// Its version.
    pub scorecard_version_id: ScorecardVersionId,
    /// The version's number.
    pub version: i32,
    /// The first day of the period.
    pub began: NaiveDate,
    /// Answers of the model, each about one call.
    pub evaluations: i64,
    /// Quotes that were held against the transcript.
    pub quotes: i64,
    /// Those of them that are not in it.
    pub rejected: i64,
}

impl Evaluations {
    /// Quotes of the organizations that the grant reaches, or of one of them, assessed from one day to another; newest first.
    ///
    /// # Errors
    /// [`EvaluationError::Db`].
    pub async fn quote_checks(
        &self,
        grant: &Grant,
        organization: Option<OrganizationId>,
        (from, to): (NaiveDate, NaiveDate),
        period: Period,
    ) -> Result<Vec<QuoteCheck>, EvaluationError> {
        let reached = grant.organizations().iter().copied();
        let organizations: Vec<_> = reached.filter(|one| organization.is_none_or(|only| only == *one)).collect();
        let on = self.db.alone(grant);
        let rows = on.all(sql!("evaluations/list_quote_checks"), &[&organizations, &from, &to, &period.word()]).await?;
        let check = |row: &tokio_postgres::Row| {
            Ok::<_, DbError>(QuoteCheck {
                organization_id: row.try_get("organization_id")?,
                scorecard_id: row.try_get("scorecard_id")?,
                scorecard_version_id: row.try_get("scorecard_version_id")?,
                version: row.try_get("version")?,
                began: row.try_get("began")?,
                evaluations: row.try_get("evaluations")?,
                quotes: row.try_get("quotes")?,
                rejected: row.try_get("rejected")?,
            })
        };
        Ok(rows.iter().map(check).collect::<Result<_, _>>()?)
    }
}
