//! The bench's scorer as an Extism plugin.

use extism_pdk::{FnResult, plugin_fn};
use types::Request;

#[allow(dead_code, reason = "the bench needs no more of the SDK's search")]
#[path = "../../../../../plugins/sdk/src/search.rs"]
mod search;
#[path = "../../rivals/src/types.rs"]
mod types;

mod scorer {
    use crate::{
        search::Phrase,
        types::{
            Answer, AutoFail, CriterionScore, Insight, InsightKind, ScoreInput, ScoreOutput, Speaker, Utterance,
            Verdict,
        },
    };
    include!("../../../../plugins/scorer.rs");
}

/// Scores a request in JSON.
#[plugin_fn]
pub fn score(request: Vec<u8>) -> FnResult<Vec<u8>> {
    let Request { settings, input } = serde_json::from_slice(&request)?;
    Ok(serde_json::to_vec(&scorer::score(&serde_json::from_str(&settings)?, &input))?)
}
