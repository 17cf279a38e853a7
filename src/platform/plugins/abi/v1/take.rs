//! What a guest returned, as plain types.

use super::{
    prompt_builder::exports::plumbline::plugin::prompting, scorer::exports::plumbline::plugin::scoring, types,
};
use crate::platform::plugins::{CriterionScore, Description, Insight, InsightKind, Prompt, ScoreOutput};

impl From<types::Description> for Description {
    fn from(found: types::Description) -> Self {
        let types::Description { name, version, summary, settings_schema, metadata } = found;
        Self { name, version, summary, settings_schema, metadata }
    }
}

impl From<scoring::ScoreOutput> for ScoreOutput {
    fn from(found: scoring::ScoreOutput) -> Self {
        Self {
            criteria: found.criteria.into_iter().map(Into::into).collect(),
            overall: found.overall,
            insights: found.insights.into_iter().map(Into::into).collect(),
            metadata: found.metadata,
        }
    }
}

impl From<scoring::CriterionScore> for CriterionScore {
    fn from(found: scoring::CriterionScore) -> Self {
        let scoring::CriterionScore { key, score, passed, note } = found;
        Self { key, score, passed, note }
    }
}

impl From<scoring::Insight> for Insight {
    fn from(found: scoring::Insight) -> Self {
        let kind = match found.kind {
            scoring::InsightKind::Strength => InsightKind::Strength,
            scoring::InsightKind::Risk => InsightKind::Risk,
            scoring::InsightKind::Other => InsightKind::Other,
        };
        Self { kind, text: found.text, criterion: found.criterion, utterances: found.utterances }
    }
}

impl From<prompting::Prompt> for Prompt {
    fn from(found: prompting::Prompt) -> Self {
        let prompting::Prompt { system, user, max_output_tokens } = found;
        Self { system, user, max_output_tokens }
    }
}
