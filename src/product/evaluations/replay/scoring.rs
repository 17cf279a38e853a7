//! A scorer over what there is to score, beside the built-in one and what counts.

use serde_json::Value;

use super::{Compared, Component, ReplayError, Replays, Tested, ToScore};
use crate::{
    foundation::access::Grant,
    platform::plugins::CriterionScore,
    product::{
        evaluations::scoring::{self, BuiltIn, Case, Scored},
        plugins::runs::{Ended, Mark},
    },
};

impl Replays {
    /// `version` is none for the built-in scorer, which leaves no run.
    pub(super) async fn score(
        &self,
        grant: &Grant,
        version: Option<(Component, &Value)>,
        to_score: &ToScore,
    ) -> Result<Tested, ReplayError> {
        // Nobody closes it.
        let _turn = self.turns.acquire().await;
        let input = to_score.material.score_input(&to_score.answers);
        let case = Case::of(&to_score.material, &to_score.raw_answer, &to_score.answers, &input);
        let built_in = scoring::score_by(&BuiltIn, &case).await.ok();
        let Some((component, settings)) = version else {
            let mut tested = Tested::ended(Ended::of(Ok(())), crate::platform::plugins::Trace::default());
            of_scores(&mut tested, built_in.as_ref(), built_in.as_ref(), to_score);
            return Ok(tested);
        };
        let settings = settings.to_string();
        let ready = self.ready(grant, &component, &settings).await?;
        let scorer = ready.and_then(|plugin| plugin.scorer(&settings));
        let mut tested = match &scorer {
            Err(error) => Tested::failed(error),
            Ok(scorer) => {
                let scored = scoring::score_by(scorer.as_ref(), &case).await;
                let mut tested = Tested::ended(Ended::of(scored.as_ref()), scorer.trace());
                of_scores(&mut tested, scored.as_ref().ok(), built_in.as_ref(), to_score);
                tested
            }
        };
        if scorer.is_err() {
            of_scores(&mut tested, None, built_in.as_ref(), to_score);
        }
        self.kept(grant, to_score.of, component, tested).await
    }
}

fn of_scores(tested: &mut Tested, scored: Option<&Scored>, built_in: Option<&Scored>, to_score: &ToScore) {
    let definition = &to_score.material.definition;
    let mark = |scored: Option<&Scored>| {
        scored.map_or_else(Mark::default, |scored| Mark {
            overall: scored.output.overall,
            passed: scoring::passed(definition, &scored.output),
        })
    };
    let of = |scores: Option<&[CriterionScore]>, key: &str| {
        scores.and_then(|scores| scores.iter().find(|score| score.key == key)).cloned()
    };
    let scores = |scored: Option<&Scored>, key: &str| of(scored.map(|scored| scored.output.criteria.as_slice()), key);
    let counted = to_score.counted.as_ref();
    tested.mark = mark(scored);
    tested.built_in = mark(built_in);
    tested.counted = counted.map(|(mark, _)| *mark);
    tested.criteria = definition
        .criteria()
        .map(|criterion| Compared {
            key: criterion.key.clone(),
            score: scores(scored, &criterion.key),
            built_in: scores(built_in, &criterion.key),
            counted: of(counted.map(|(_, scores)| scores.as_slice()), &criterion.key),
        })
        .collect();
    tested.same = scored.zip(counted).map(|(scored, (mark, _))| {
        scored.output.overall == mark.overall && tested.criteria.iter().all(|one| one.score == one.counted)
    });
    if let Some(scored) = scored {
        tested.insights.clone_from(&scored.output.insights);
        tested.metadata.clone_from(&scored.output.metadata);
    }
}
