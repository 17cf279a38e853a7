//! People's answers that outlive their revision: whoever has answered a question is not asked it again. No I/O.
//!
//! The rule is that of [`reuse`](super::reuse): the question is the same when its key, words, guidance, answer and who answers are, and an answer to
//! another transcript is an answer to something else. What a person said to another question is kept beside it, marked, and counts for nothing.

use super::{
    questions::{HumanAnswer, Outdated},
    reuse::same_question,
};
use crate::{foundation::ids::EvaluationId, product::scorecards::model::Definition};

/// What people have answered in the evaluation that a new one takes the place of.
#[derive(Clone, Debug)]
pub struct Before {
    /// That evaluation.
    pub evaluation_id: EvaluationId,
    /// What its scorecard version asks.
    pub definition: Definition,
    /// Which version of the transcript it judges.
    pub transcript_version: i32,
    /// What people answered there, or carried into it.
    pub human: Vec<HumanAnswer>,
}

impl Before {
    /// People's answers under another definition and transcript version. Answers to criteria that are no more are left behind with their revision;
    /// what is outdated once stays so until somebody answers again.
    pub fn carried(&self, new: &Definition, transcript_version: i32) -> Vec<HumanAnswer> {
        let carried = self.human.iter().filter_map(|answer| {
            let key = answer.criterion.as_str();
            let now = new.criteria().find(|criterion| criterion.key == key)?;
            let before = self.definition.criteria().find(|criterion| criterion.key == key);
            let outdated = match answer.outdated {
                Some(outdated) => Some(outdated),
                None if !before.is_some_and(|before| same_question(before, now)) => Some(Outdated::QuestionChanged),
                None if transcript_version != self.transcript_version => Some(Outdated::TranscriptChanged),
                None => None,
            };
            let carried_from = Some(answer.carried_from.unwrap_or(self.evaluation_id));
            Some(HumanAnswer { carried_from, outdated, ..answer.clone() })
        });
        carried.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::product::evaluations::model::{Given, Verdict};

    fn definition(question: &str) -> Definition {
        serde_json::from_value(json!({"name": "S", "sections": [{"key": "s", "name": "S", "criteria": [
            {"key": "form", "question": question, "answered_by": "human"}, {"key": "tone", "question": "Tone?"}]}]}))
        .unwrap()
    }

    fn answer(criterion: &str) -> HumanAnswer {
        HumanAnswer {
            criterion: criterion.to_owned(),
            said: Verdict::Yes,
            given: Given::default(),
            rationale: "Seen.".to_owned(),
            quotes: vec![],
            answered_by: "user:eve".to_owned(),
            answered_at_ms: 1,
            carried_from: None,
            outdated: None,
        }
    }

    fn before(human: Vec<HumanAnswer>) -> Before {
        let evaluation_id = EvaluationId(Uuid::from_u128(1));
        Before { evaluation_id, definition: definition("Right?"), transcript_version: 1, human }
    }

    #[test]
    fn the_same_question_about_the_same_transcript_keeps_its_answer() {
        let carried = before(vec![answer("form"), answer("tone"), answer("gone")]).carried(&definition("Right?"), 1);
        let kept: Vec<_> = carried.iter().map(|one| (one.criterion.as_str(), one.outdated)).collect();
        assert_eq!(kept, [("form", None), ("tone", None)], "what is asked no more stays behind");
        assert!(carried.iter().all(|one| one.carried_from == Some(EvaluationId(Uuid::from_u128(1)))));
        let again =
            Before { evaluation_id: EvaluationId(Uuid::from_u128(2)), human: carried.clone(), ..before(vec![]) };
        assert_eq!(again.carried(&definition("Right?"), 1), carried, "it is still the first evaluation's");
    }

    #[test]
    fn another_question_or_transcript_outdates_it_for_good() {
        let outdated = |new: &Definition, transcript| before(vec![answer("form")]).carried(new, transcript)[0].outdated;
        assert_eq!(outdated(&definition("Wrong?"), 1), Some(Outdated::QuestionChanged));
        assert_eq!(outdated(&definition("Right?"), 2), Some(Outdated::TranscriptChanged));
        let mut heavier = definition("Right?");
        heavier.sections[0].criteria[0].weight = 9;
        assert_eq!(outdated(&heavier, 1), None, "a weight is no part of the question");
        let once = Before {
            definition: definition("Wrong?"),
            human: before(vec![answer("form")]).carried(&definition("Wrong?"), 1),
            ..before(vec![])
        };
        assert_eq!(once.carried(&definition("Wrong?"), 1)[0].outdated, Some(Outdated::QuestionChanged));
    }
}
