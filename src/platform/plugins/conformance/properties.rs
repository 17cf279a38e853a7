//! The properties, and how each is looked at.

use super::{
    Conformance,
    golden::{Golden, LARGEST},
    golden_calls, settings,
};
use crate::platform::plugins::{Check, Measure, Plugin, PluginError, Prompt, Run, ScoreInput, ScoreOutput, Verdict};

/// Golden calls get through, equal calls come out equal, a criterion that is not applicable is neutral, the largest call fits.
pub(super) async fn of_a_scorer(plugin: &Plugin, settings: &str) -> Conformance {
    let mut found = Conformance { checks: settings::checks(plugin, settings).await, measures: Vec::new() };
    let calls = golden_calls();
    let mut runs = Vec::new();
    for call in &calls {
        let run = plugin.run_score(settings, &call.input).await;
        runs.push(found.take(call, run, "scores"));
    }
    let mut different = None;
    for (call, first) in calls.iter().zip(&runs).filter_map(|(call, run)| Some((call, run.as_ref()?))) {
        let again = plugin.run_score(settings, &call.input).await.and_then(|run| run.outcome);
        if again.as_ref() != Ok(first) {
            different = different.or(Some(call.name));
        }
    }
    found.checks.push(deterministic(different, runs.iter().all(Option::is_none)));
    found.checks.push(every_criterion(&calls, &runs));
    let mut not_neutral = None;
    for (call, first) in calls.iter().zip(&runs).filter_map(|(call, run)| Some((call, run.as_ref()?))) {
        if let Err(why) = neutral(plugin, settings, &call.input, first).await {
            not_neutral = not_neutral.or(Some(format!("{}: {why}", call.name)));
        }
    }
    found.checks.push(match not_neutral {
        None => Check::passed(
            "not_applicable_is_neutral",
            "a criterion that is not applicable weighs as if it were not there",
        ),
        Some(why) => Check::failed("not_applicable_is_neutral", why),
    });
    found
}

/// Golden calls get through, equal calls come out equal, the largest call fits.
pub(super) async fn of_a_prompt_builder(plugin: &Plugin, settings: &str) -> Conformance {
    let mut found = Conformance { checks: settings::checks(plugin, settings).await, measures: Vec::new() };
    let calls = golden_calls();
    let mut runs: Vec<Option<Prompt>> = Vec::new();
    for call in &calls {
        let run = plugin.run_build(settings, &call.prompt_input()).await;
        runs.push(found.take(call, run, "builds"));
    }
    let mut different = None;
    for (call, first) in calls.iter().zip(&runs).filter_map(|(call, run)| Some((call, run.as_ref()?))) {
        let again = plugin.run_build(settings, &call.prompt_input()).await.and_then(|run| run.outcome);
        if again.as_ref() != Ok(first) {
            different = different.or(Some(call.name));
        }
    }
    found.checks.push(deterministic(different, runs.iter().all(Option::is_none)));
    found
}

/// A score names each criterion, also one that it gives nothing: else nobody knows whether it was forgotten.
fn every_criterion(calls: &[Golden], runs: &[Option<ScoreOutput>]) -> Check {
    for (call, found) in calls.iter().zip(runs).filter_map(|(call, run)| Some((call, run.as_ref()?))) {
        let (named, asked) = (found.criteria.len(), call.input.scorecard.criteria().count());
        if named != asked {
            let why =
                format!("{}: it names {named} of {asked} criteria; those without a score are named too", call.name);
            return Check::failed("every_criterion", why);
        }
    }
    Check::passed("every_criterion", "each criterion is named once")
}

fn deterministic(different: Option<&str>, nothing_ran: bool) -> Check {
    match different {
        Some(call) => Check::failed("deterministic", format!("{call} came out differently the second time")),
        None if nothing_ran => Check::failed("deterministic", "no golden call came to an end"),
        None => Check::passed("deterministic", "equal calls come out equal"),
    }
}

impl Conformance {
    /// Notes a run, and gives its result if there is one.
    fn take<T>(&mut self, call: &Golden, run: Result<Run<T>, PluginError>, verb: &str) -> Option<T> {
        let name = if call.name == LARGEST { "within_budget".to_owned() } else { format!("{verb}_{}", call.name) };
        let outcome = run.and_then(|run| {
            self.measures.push(Measure {
                golden_call: call.name.to_owned(),
                fuel: run.fuel,
                elapsed_us: run.elapsed_us,
                memory_bytes: run.memory_bytes as u64,
            });
            run.outcome.map(|found| (found, run.fuel, run.elapsed_us, run.memory_bytes))
        });
        match outcome {
            Ok((found, fuel, elapsed_us, memory_bytes)) => {
                let took = format!("{fuel} instructions, {elapsed_us} µs, {} KiB", memory_bytes >> 10);
                self.checks.push(Check::passed(&name, took));
                Some(found)
            }
            Err(error) => {
                self.checks.push(Check::failed(&name, format!("{}: {error}", call.name)));
                None
            }
        }
    }
}

/// A criterion that is not applicable leaves the denominator: it has no score of its own, and without it (question and answer) the overall
/// score and those of all others are the same. Only where its section keeps other criteria, so that no section's weight goes with it.
/// What a score loses for other reasons (the transcript, other criteria, a gate) is lost in both and does not matter here.
async fn neutral(plugin: &Plugin, settings: &str, input: &ScoreInput, first: &ScoreOutput) -> Result<(), String> {
    let Some(left_out) = left_out(input) else { return Ok(()) };
    if first.criteria.iter().any(|one| one.key == left_out && (one.score.is_some() || one.passed.is_some())) {
        return Err(format!("{left_out} is not applicable and is scored all the same"));
    }
    let mut without = input.clone();
    for section in &mut without.scorecard.sections {
        section.criteria.retain(|criterion| criterion.key != left_out);
    }
    without.answers.retain(|answer| answer.criterion != left_out);
    let other = plugin.run_score(settings, &without).await.and_then(|run| run.outcome);
    let other = other.map_err(|error| format!("without {left_out}: {error}"))?;
    if other.overall != first.overall {
        let said = |score: Option<u32>| score.map_or("none".to_owned(), |hundredths| hundredths.to_string());
        let (with, without) = (said(first.overall), said(other.overall));
        return Err(format!("{left_out} is not applicable; with it the overall score is {with}, without it {without}"));
    }
    for one in &other.criteria {
        if first.criteria.iter().any(|same| same.key == one.key && same.score != one.score) {
            return Err(format!("the score of {} depends on {left_out}, which is not applicable", one.key));
        }
    }
    Ok(())
}

/// The first criterion that is answered not applicable and is not alone in its section.
fn left_out(input: &ScoreInput) -> Option<String> {
    let not_applicable = |key: &str| {
        input.answers.iter().any(|answer| answer.criterion == key && answer.verdict == Verdict::NotApplicable)
    };
    let mut kept = input.scorecard.sections.iter().filter(|section| section.criteria.len() > 1);
    kept.find_map(|section| section.criteria.iter().find(|criterion| not_applicable(&criterion.key)))
        .map(|criterion| criterion.key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_or_nothing_at_all_is_not_deterministic() {
        assert!(deterministic(None, false).passed);
        assert!(!deterministic(Some("support_call"), false).passed);
        assert!(!deterministic(None, true).passed, "nothing ran, so nothing is shown");
    }

    #[test]
    fn the_criterion_that_is_left_out_is_not_alone_in_its_section() {
        let calls = golden_calls();
        let found: Vec<_> = calls.iter().map(|call| left_out(&call.input)).collect();
        let named = |name: &str| Some(name.to_owned());
        let expected = [
            named("offers_refund"),
            named("upsells"),
            named("uses_name"),
            named("greets_by_name"),
            None,
            named("criterion_1"),
        ];
        assert_eq!(found, expected);
    }
}
