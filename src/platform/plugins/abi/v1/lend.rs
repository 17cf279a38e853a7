//! Plain types as the guest will see them, borrowed from the caller.

use super::types;
use crate::platform::plugins::{
    Answer, AutoFail, CallFacts, Criterion, Evidence, Scorecard, Section, Speaker, Utterance, Verdict,
};

pub(super) fn call(call: &CallFacts) -> types::Call<'_> {
    types::Call {
        id: &call.id,
        channel: &call.channel,
        language: &call.language,
        started_at_ms: call.started_at_ms,
        duration_ms: call.duration_ms,
    }
}

pub(super) fn utterances(utterances: &[Utterance]) -> Vec<types::Utterance<'_>> {
    utterances.iter().map(utterance).collect()
}

/// The criteria of each section: what [`sections`] borrows.
pub(super) fn criteria(scorecard: &Scorecard) -> Vec<Vec<types::Criterion<'_>>> {
    scorecard.sections.iter().map(|section| section.criteria.iter().map(criterion).collect()).collect()
}

pub(super) fn sections<'a>(
    scorecard: &'a Scorecard,
    criteria: &'a [Vec<types::Criterion<'a>>],
) -> Vec<types::Section<'a>> {
    let pairs = scorecard.sections.iter().zip(criteria);
    let lend = |(section, criteria): (&'a Section, &'a Vec<_>)| types::Section {
        key: &section.key,
        name: &section.name,
        weight: section.weight,
        criteria,
    };
    pairs.map(lend).collect()
}

pub(super) fn scorecard<'a>(scorecard: &'a Scorecard, sections: &'a [types::Section<'a>]) -> types::Scorecard<'a> {
    types::Scorecard { name: &scorecard.name, version: scorecard.version, sections }
}

/// The evidence of each answer: what [`answers`] borrows.
pub(super) fn evidence(answers: &[Answer]) -> Vec<Vec<types::Evidence<'_>>> {
    answers.iter().map(|answer| answer.evidence.iter().map(one_evidence).collect()).collect()
}

pub(super) fn answers<'a>(answers: &'a [Answer], evidence: &'a [Vec<types::Evidence<'a>>]) -> Vec<types::Answer<'a>> {
    let lend = |(answer, evidence): (&'a Answer, &'a Vec<_>)| types::Answer {
        criterion: &answer.criterion,
        verdict: verdict(answer.verdict),
        confidence: answer.confidence,
        rationale: &answer.rationale,
        evidence,
    };
    answers.iter().zip(evidence).map(lend).collect()
}

pub(super) fn pairs(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn utterance(utterance: &Utterance) -> types::Utterance<'_> {
    types::Utterance {
        n: utterance.n,
        speaker: speaker(utterance.speaker),
        start_ms: utterance.start_ms,
        end_ms: utterance.end_ms,
        text: &utterance.text,
    }
}

fn criterion(criterion: &Criterion) -> types::Criterion<'_> {
    types::Criterion {
        key: &criterion.key,
        question: &criterion.question,
        guidance: &criterion.guidance,
        weight: criterion.weight,
        auto_fail: match criterion.auto_fail {
            AutoFail::None => types::AutoFail::None,
            AutoFail::Section => types::AutoFail::Section,
            AutoFail::Evaluation => types::AutoFail::Evaluation,
        },
        not_applicable: criterion.not_applicable,
    }
}

fn one_evidence(evidence: &Evidence) -> types::Evidence<'_> {
    types::Evidence { utterance: evidence.utterance, quote: &evidence.quote, speaker: speaker(evidence.speaker) }
}

fn speaker(speaker: Speaker) -> types::Speaker {
    match speaker {
        Speaker::Agent => types::Speaker::Agent,
        Speaker::Customer => types::Speaker::Customer,
        Speaker::System => types::Speaker::System,
        Speaker::Unknown => types::Speaker::Unknown,
    }
}

fn verdict(verdict: Verdict) -> types::Verdict {
    match verdict {
        Verdict::Yes => types::Verdict::Yes,
        Verdict::No => types::Verdict::No,
        Verdict::NotApplicable | Verdict::Answered => types::Verdict::NotApplicable,
        Verdict::Unverified | Verdict::Pending => types::Verdict::Unverified,
    }
}
