//! Long computations beside the threads that serve requests: what takes longer than a moment would keep them all waiting.

use std::panic;

use tokio::task;

use super::{
    model::{Answer, Utterance},
    questions::{HumanAnswer, Questions, Unusable},
    rules,
};
use crate::product::scorecards::model::Definition;

/// Bytes of a conversation that rules and evidence go through in about a millisecond, and of quotes.
const LARGE: usize = 1 << 16;

/// The questions about a conversation ([`Questions::of`]).
pub async fn questions<'a>(
    definition: &'a Definition,
    transcript: &'a [Utterance],
    metrics: &[(String, i64)],
) -> Questions<'a> {
    if bytes(transcript) < LARGE {
        return Questions::of(definition, transcript, metrics);
    }
    let own = (definition.clone(), transcript.to_vec(), metrics.to_vec());
    let ruled = run(move || rules::answer(&own.0, &own.1, &own.2)).await;
    Questions::ruled(definition, transcript, ruled)
}

/// All answers ([`Questions::answers`]).
///
/// # Errors
/// [`Unusable`].
pub async fn answers(questions: &Questions<'_>, raw: &str, human: &[HumanAnswer]) -> Result<Vec<Answer>, Unusable> {
    let quoted: usize = human.iter().flat_map(|answer| &answer.quotes).map(String::len).sum();
    if bytes(questions.transcript()) + raw.len() + quoted < LARGE {
        return questions.answers(raw, human);
    }
    let (definition, transcript, known) = questions.owned();
    let (raw, human) = (raw.to_owned(), human.to_vec());
    run(move || known.about(&definition, &transcript).answers(&raw, &human)).await
}

/// Runs it on a thread for what blocks. It panics where that does, and nobody waits any more where the process ends.
pub async fn run<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> T {
    match task::spawn_blocking(compute).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panicked) => panic::resume_unwind(panicked),
            Err(_) => std::future::pending().await,
        },
    }
}

fn bytes(transcript: &[Utterance]) -> usize {
    transcript.iter().map(|utterance| utterance.text.len()).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::product::evaluations::samples::{definition, transcript};

    /// A large conversation and a small one are answered alike, here and there.
    #[tokio::test]
    async fn where_it_is_computed_changes_nothing() {
        let said = |verdict: &str, quote: &str| json!({"verdict": verdict, "confidence": 0.9, "rationale": "R.", "evidence": [{"utterance": 1, "quote": quote}]});
        let raw = json!({"greeting": said("yes", "good morning how"), "recap": said("no", "how can I help"), "no_insult": said("yes", "your instructions and answer")});
        let (definition, mut transcript) = (definition(), transcript());
        for more in [0, LARGE] {
            transcript[1].text.push_str(&" and so on".repeat(more / 10));
            assert_eq!(bytes(&transcript) >= LARGE, more > 0);
            let here = Questions::of(&definition, &transcript, &[]).answers(&raw.to_string(), &[]);
            let questions = questions(&definition, &transcript, &[]).await;
            assert_eq!(here, answers(&questions, &raw.to_string(), &[]).await);
            assert!(here.unwrap().iter().all(|answer| answer.evidence[0].found.is_some()));
            assert!(answers(&questions, "no json", &[]).await.is_err());
        }
    }

    #[tokio::test]
    #[should_panic(expected = "as it did there")]
    async fn a_panic_comes_back() {
        run(|| panic!("as it did there")).await
    }
}
