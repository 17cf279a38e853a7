//! Running a plugin natively: conversations are written in a line each, and what comes back is held against the contract as the host
//! does it. `plumbline plugin test` runs the component itself, on the very host.

mod contract;
mod conversation;
mod golden;

use std::{cell::RefCell, mem};

pub use conversation::Conversation;
pub use golden::{Golden, golden_calls};

use crate::{
    About, Description, Level, Prompt, PromptBuilder, PromptInput, ScoreInput, ScoreOutput, Scorer,
    plugin::{ExportedPromptBuilder, ExportedScorer},
};

thread_local! {
    static LOG: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn keep(level: Level, message: &str) {
    LOG.with_borrow_mut(|log| log.push((level, message.to_owned())));
}

/// What the last run on this thread logged; asked once.
pub fn logged() -> Vec<(Level, String)> {
    LOG.with_borrow_mut(mem::take)
}

/// What the plugin says of itself, as the host gets it.
pub fn described(about: About) -> Description {
    about.into()
}

/// Whether a scorer accepts its settings (JSON).
pub fn validate<T: Scorer>(settings: &str) -> Result<(), String> {
    ExportedScorer::<T>::settings(settings).map(drop)
}

/// Whether a prompt builder accepts its settings (JSON).
pub fn validate_builder<T: PromptBuilder>(settings: &str) -> Result<(), String> {
    ExportedPromptBuilder::<T>::settings(settings).map(drop)
}

/// Scores natively, twice.
///
/// # Errors
/// The plugin's own words, or the way in which its output breaks the contract: the host would refuse it.
pub fn score<T: Scorer>(settings: &str, input: &ScoreInput) -> Result<ScoreOutput, String> {
    let settings = ExportedScorer::<T>::settings(settings)?;
    let output = twice(|| T::score(&settings, input))?;
    contract::score(&output, input)?;
    Ok(output)
}

/// Builds a prompt natively, twice.
///
/// # Errors
/// The plugin's own words, or the way in which its prompt breaks the contract: the host would refuse it.
pub fn build<T: PromptBuilder>(settings: &str, input: &PromptInput) -> Result<Prompt, String> {
    let settings = ExportedPromptBuilder::<T>::settings(settings)?;
    let prompt = twice(|| T::build(&settings, input))?;
    contract::prompt(&prompt)?;
    Ok(prompt)
}

/// The result of a run that comes out, and logs, the same way again. The log stays that of one run.
fn twice<T: PartialEq>(run: impl Fn() -> Result<T, String>) -> Result<T, String> {
    let once = || {
        logged();
        run().map(|found| (found, logged()))
    };
    let ((first, log), (second, log_again)) = (once()?, once()?);
    if first != second || log != log_again {
        return Err("the same input gave another result: something is remembered".into());
    }
    LOG.set(log);
    Ok(first)
}

/// Scores every golden call.
///
/// # Errors
/// The name of the first call that failed, and why.
pub fn score_golden_calls<T: Scorer>(settings: &str) -> Result<(), String> {
    for Golden { name, conversation } in golden_calls() {
        let input = conversation.score_input();
        let output = score::<T>(settings, &input).map_err(|error| format!("{name}: {error}"))?;
        contract::neutral::<T>(settings, &conversation, &output).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// Builds the prompt of every golden call.
///
/// # Errors
/// The name of the first call that failed, and why.
pub fn build_golden_calls<T: PromptBuilder>(settings: &str) -> Result<(), String> {
    for Golden { name, conversation } in golden_calls() {
        build::<T>(settings, &conversation.prompt_input()).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoSettings, arithmetic};

    struct Plain;

    impl Scorer for Plain {
        type Settings = NoSettings;
        fn about() -> About {
            About::new("plain", "1.0.0", "")
        }
        fn score(_: &NoSettings, input: &ScoreInput) -> Result<ScoreOutput, String> {
            crate::info("scored");
            Ok(arithmetic::weighted(&input.scorecard, &input.answers))
        }
    }

    struct Broken;

    impl Scorer for Broken {
        type Settings = NoSettings;
        fn about() -> About {
            About::new("broken", "1.0.0", "")
        }
        fn score(_: &NoSettings, input: &ScoreInput) -> Result<ScoreOutput, String> {
            let mut output = Plain::score(&NoSettings {}, input)?;
            output.overall = Some(10_001);
            Ok(output)
        }
    }

    /// Counts what is not applicable as failed.
    struct Unfair;

    impl Scorer for Unfair {
        type Settings = NoSettings;
        fn about() -> About {
            About::new("unfair", "1.0.0", "")
        }
        fn score(_: &NoSettings, input: &ScoreInput) -> Result<ScoreOutput, String> {
            let mut output = arithmetic::weighted(&input.scorecard, &input.answers);
            let yes = output.criteria.iter().filter(|one| one.passed == Some(true)).count();
            output.overall = Some((yes * 10_000 / output.criteria.len().max(1)) as u32);
            Ok(output)
        }
    }

    #[test]
    fn golden_calls_find_what_the_host_would_refuse() {
        assert_eq!(score_golden_calls::<Plain>("{}"), Ok(()));
        assert!(score_golden_calls::<Plain>("[]").is_err());
        let error = score_golden_calls::<Broken>("{}").unwrap_err();
        assert!(error.contains("10001"), "{error}");
        let error = score_golden_calls::<Unfair>("{}").unwrap_err();
        assert!(error.contains("not applicable"), "{error}");
    }

    #[test]
    fn logs_are_those_of_one_run() {
        logged();
        let input = Conversation::new().agent("Hi.").score_input();
        score::<Plain>("{}", &input).unwrap();
        assert_eq!(logged(), [(Level::Info, "scored".to_owned())]);
    }
}
