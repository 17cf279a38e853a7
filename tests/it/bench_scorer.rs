//! What `script/bench plugins` compares is one scorer: native Rust and the committed component of the same source find the same.

use plumbline::platform::plugins::{Limits, PluginHost};

#[path = "../../benches/plugins/sample.rs"]
mod sample;
#[allow(dead_code, reason = "the bench needs no more of the SDK's search")]
#[allow(clippy::nonminimal_bool, reason = "the SDK's search")]
#[path = "../../plugins/sdk/src/search.rs"]
mod search;

mod scorer {
    use plumbline::platform::plugins::{
        Answer, AutoFail, CriterionScore, Insight, InsightKind, ScoreInput, ScoreOutput, Speaker, Utterance, Verdict,
    };

    use super::search::Phrase;

    include!("../../benches/plugins/scorer.rs");
}

/// benches/peers/plugins/guest, as `script/bench plugins` builds it.
const COMPONENT: &[u8] = include_bytes!("../../benches/plugins/scorer.wasm");

#[tokio::test]
async fn the_component_of_the_bench_finds_what_native_rust_finds() {
    let host = PluginHost::new(Limits { concurrency: 2, ..Limits::default() }).unwrap();
    let plugin = host.load(COMPONENT).await.unwrap();
    let settings: scorer::Settings = serde_json::from_str(sample::SETTINGS).unwrap();
    let mut input = sample::input();
    let whole = scorer::score(&settings, &input);
    assert!(whole.overall > Some(0) && whole.insights.len() > 2, "it has something to do: {whole:?}");
    // Shorter calls too, down to none.
    for utterances in [sample::UTTERANCES as usize, 150, 40, 3, 0] {
        input.utterances.truncate(utterances);
        let run = plugin.run_score(sample::SETTINGS, &input).await.unwrap();
        assert_eq!(run.outcome.unwrap(), scorer::score(&settings, &input), "{utterances} utterances");
    }
}
