//! What a guest can be asked: each question lent from its caller, or owned so that it can go to another thread.

use std::{borrow::Cow, future::Future};

use wasmtime::Store;

use super::{
    Description, Prompt, PromptInput, ScoreInput, ScoreOutput, Utterance,
    abi::v1::{self, Program},
    sandbox::Sandbox,
};

/// A question to a guest.
pub(super) trait Call: Send + Sync {
    /// The same question, independent of its caller.
    type Owned: Call<Out = Self::Out> + 'static;
    /// What the guest answers.
    type Out: Send + 'static;

    /// Asks a fresh instance.
    fn ask(
        &self,
        program: &Program,
        store: &mut Store<Sandbox>,
    ) -> impl Future<Output = wasmtime::Result<Self::Out>> + Send;

    /// The same question, independent of its caller.
    fn to_owned(&self) -> Self::Owned;

    /// Text that the guest is given to work on, in bytes: what its fuel is measured by.
    fn text_bytes(&self) -> usize;
}

/// What it says of itself.
pub(super) struct Describe;

/// Whether it can work with these settings.
pub(super) struct ValidateSettings<'a>(pub(super) Cow<'a, str>);

/// What it scores.
pub(super) struct Score<'a> {
    pub(super) settings: Cow<'a, str>,
    pub(super) input: Cow<'a, ScoreInput>,
}

/// What it would ask.
pub(super) struct Build<'a> {
    pub(super) settings: Cow<'a, str>,
    pub(super) input: Cow<'a, PromptInput>,
}

impl Call for Describe {
    type Owned = Self;
    type Out = Description;

    async fn ask(&self, program: &Program, store: &mut Store<Sandbox>) -> wasmtime::Result<Description> {
        program.describe(store).await
    }

    fn to_owned(&self) -> Self {
        Self
    }

    fn text_bytes(&self) -> usize {
        0
    }
}

impl Call for ValidateSettings<'_> {
    type Owned = ValidateSettings<'static>;
    type Out = Result<(), String>;

    async fn ask(&self, program: &Program, store: &mut Store<Sandbox>) -> wasmtime::Result<Self::Out> {
        program.validate_settings(store, &self.0).await
    }

    fn to_owned(&self) -> Self::Owned {
        ValidateSettings(Cow::Owned(self.0.clone().into_owned()))
    }

    fn text_bytes(&self) -> usize {
        self.0.len()
    }
}

impl Call for Score<'_> {
    type Owned = Score<'static>;
    type Out = Result<ScoreOutput, String>;

    async fn ask(&self, program: &Program, store: &mut Store<Sandbox>) -> wasmtime::Result<Self::Out> {
        v1::score(program, store, &self.settings, &self.input).await
    }

    fn to_owned(&self) -> Self::Owned {
        Score {
            settings: Cow::Owned(self.settings.clone().into_owned()),
            input: Cow::Owned(self.input.clone().into_owned()),
        }
    }

    fn text_bytes(&self) -> usize {
        let quotes = |answer: &super::Answer| answer.evidence.iter().map(|quoted| quoted.quote.len()).sum::<usize>();
        let answers = self.input.answers.iter().map(|answer| answer.rationale.len() + quotes(answer));
        self.settings.len() + spoken(&self.input.utterances) + answers.sum::<usize>()
    }
}

impl Call for Build<'_> {
    type Owned = Build<'static>;
    type Out = Result<Prompt, String>;

    async fn ask(&self, program: &Program, store: &mut Store<Sandbox>) -> wasmtime::Result<Self::Out> {
        v1::build(program, store, &self.settings, &self.input).await
    }

    fn to_owned(&self) -> Self::Owned {
        Build {
            settings: Cow::Owned(self.settings.clone().into_owned()),
            input: Cow::Owned(self.input.clone().into_owned()),
        }
    }

    fn text_bytes(&self) -> usize {
        self.settings.len() + spoken(&self.input.utterances)
    }
}

fn spoken(utterances: &[Utterance]) -> usize {
    utterances.iter().map(|utterance| utterance.text.len()).sum()
}
