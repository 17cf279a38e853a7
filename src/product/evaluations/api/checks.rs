//! How the model's evidence holds, as the API shows it.

use chrono::NaiveDate;
use poem_openapi::Object;

use super::super::quote_checks::QuoteCheck;
use crate::foundation::ids::{OrganizationId, ScorecardId, ScorecardVersionId};

/// Quotes of the language model that were held against transcripts.
#[derive(Object)]
#[oai(rename = "QuoteChecks")]
pub(super) struct QuoteChecksView {
    /// The first day.
    from: NaiveDate,
    /// The last day.
    to: NaiveDate,
    /// All quotes.
    quotes: i64,
    /// Those that are not in the transcript.
    quotes_rejected: i64,
    /// Their share, 0 to 1; null when there are no quotes.
    #[oai(nullable)]
    rejected_share: Option<f64>,
    /// By organization, scorecard version and period, newest first.
    items: Vec<QuoteCheckView>,
}

/// Quotes under one scorecard version in one period.
#[derive(Object)]
#[oai(rename = "QuoteCheck")]
struct QuoteCheckView {
    organization_id: OrganizationId,
    scorecard_id: ScorecardId,
    scorecard_version_id: ScorecardVersionId,
    /// The version's number.
    version: i32,
    /// The first day of the period (UTC).
    period_start: NaiveDate,
    /// Answers of the language model, each about one call.
    evaluations: i64,
    quotes: i64,
    /// Those that are not in the transcript.
    quotes_rejected: i64,
    /// Their share, 0 to 1; null when there are no quotes.
    #[oai(nullable)]
    rejected_share: Option<f64>,
}

fn share(rejected: i64, quotes: i64) -> Option<f64> {
    (quotes > 0).then(|| rejected as f64 / quotes as f64)
}

impl QuoteChecksView {
    pub(super) fn of((from, to): (NaiveDate, NaiveDate), checks: Vec<QuoteCheck>) -> Self {
        let quotes = checks.iter().map(|check| check.quotes).sum();
        let quotes_rejected = checks.iter().map(|check| check.rejected).sum();
        let items = checks.into_iter().map(|check| QuoteCheckView {
            organization_id: check.organization_id,
            scorecard_id: check.scorecard_id,
            scorecard_version_id: check.scorecard_version_id,
            version: check.version,
            period_start: check.began,
            evaluations: check.evaluations,
            quotes: check.quotes,
            quotes_rejected: check.rejected,
            rejected_share: share(check.rejected, check.quotes),
        });
        Self {
            from,
            to,
            quotes,
            quotes_rejected,
            rejected_share: share(quotes_rejected, quotes),
            items: items.collect(),
        }
    }
}
