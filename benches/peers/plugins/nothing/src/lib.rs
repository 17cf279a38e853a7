//! A scorer that takes its input and scores nothing: what is left of a call is the host.

use plumbline_plugin::{About, NoSettings, ScoreInput, ScoreOutput, Scorer, export_scorer};

struct Nothing;

export_scorer!(Nothing);

impl Scorer for Nothing {
    type Settings = NoSettings;

    fn about() -> About {
        About::new("nothing", env!("CARGO_PKG_VERSION"), "Scores nothing.")
    }

    fn score(_: &Self::Settings, _: &ScoreInput) -> Result<ScoreOutput, String> {
        Ok(ScoreOutput { criteria: Vec::new(), overall: None, insights: Vec::new(), metadata: Vec::new() })
    }
}
