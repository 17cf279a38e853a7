//! The bench's scorer as a guest, with the SDK.

use plumbline_plugin::{About, ScoreInput, ScoreOutput, Scorer, export_scorer};

mod scorer {
    use plumbline_plugin::{
        Answer, AutoFail, CriterionScore, Insight, InsightKind, Phrase, ScoreInput, ScoreOutput, Speaker, Utterance,
        Verdict,
    };
    include!("../../../../plugins/scorer.rs");
}

struct Bench;

export_scorer!(Bench);

impl Scorer for Bench {
    type Settings = scorer::Settings;

    fn about() -> About {
        About::new("bench", env!("CARGO_PKG_VERSION"), "What benches/plugins measures.")
    }

    fn score(settings: &Self::Settings, input: &ScoreInput) -> Result<ScoreOutput, String> {
        Ok(scorer::score(settings, input))
    }
}
