//! A prompt builder over a conversation. Nobody is asked what it builds.

use serde_json::Value;

use super::{Asked, Component, ReplayError, Replays, Tested};
use crate::{
    foundation::access::Grant,
    platform::plugins::Trace,
    product::{
        evaluations::{
            prompt::{self, BoundBuilder, PromptError},
            receipt::prompt_digest,
        },
        plugins::{model::FailurePolicy, runs::Ended},
        scorecards::model::Criterion,
    },
};

impl Replays {
    pub(super) async fn build(
        &self,
        grant: &Grant,
        (component, settings): (Component, &Value),
        asked: &Asked,
    ) -> Result<Tested, ReplayError> {
        // Nobody closes it.
        let _turn = self.turns.acquire().await;
        let settings = settings.to_string();
        let ready = self.ready(grant, &component, &settings).await?;
        let builder = ready.and_then(|plugin| plugin.prompt_builder(&settings));
        let bound = BoundBuilder { builder: builder.as_deref().map_err(Clone::clone), policy: FailurePolicy::Fail };
        let criteria: Vec<&Criterion> = asked.criteria.iter().collect();
        let built = match &asked.then {
            Some((parts, _)) => prompt::build_parts(Some(bound), &asked.input, &criteria, parts).await,
            None => prompt::build_with(Some(bound), &asked.input, &criteria, self.request_characters).await,
        };
        let trace = builder.map_or_else(|_| Trace::default(), |builder| builder.trace());
        let tested = match built {
            Ok(built) => Tested {
                same: asked.then.as_ref().map(|(_, digest)| prompt_digest(&built.prompts) == *digest),
                prompts: built.prompts,
                ..Tested::ended(Ended::of(Ok(())), trace)
            },
            Err(PromptError::Plugin(error)) => Tested::ended(Ended::of::<()>(Err(&error)), trace),
            Err(error) => Tested::ended(Ended { outcome: error.code(), message: Some(error.to_string()) }, trace),
        };
        self.kept(grant, asked.of, component, tested).await
    }
}
