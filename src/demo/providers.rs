//! Who transcribes and who judges in the demo: the real services where keys are given, else stand-ins that say so.

use std::time::Duration;

use serde::Serialize;

use super::{
    DemoError,
    speech::{self, LocalRecogniser},
    standins::{Recogniser, StandInOptions, StandIns},
};
use crate::foundation::config::{Config, SpeechProvider};

/// Which providers answered, for the report.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderNames {
    /// Who turned speech into text.
    pub speech: ProviderName,
    /// Who answered the scorecards' questions.
    pub language_model: ProviderName,
}

/// One provider.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderName {
    /// In words.
    pub name: String,
    /// `real`, `local`, `stand_in` or `none`.
    pub kind: &'static str,
}

/// Everything that must stay alive while the demo runs.
pub struct Providers {
    /// For the report.
    pub names: ProviderNames,
    _stand_ins: StandIns,
    _recogniser: Option<LocalRecogniser>,
}

/// Chooses the providers and points the settings to them.
///
/// # Errors
/// When the stand-ins cannot start.
pub async fn choose(config: &mut Config) -> Result<Providers, DemoError> {
    let named = |name: &str, kind| ProviderName { name: name.to_owned(), kind };
    let real_speech = match &config.speech {
        speech if speech.assemblyai_api_key.is_some() => Some(named("AssemblyAI", "real")),
        speech if speech.recogniser_base_url.is_some() => Some(named("the configured recogniser", "real")),
        _ => None,
    };
    let recogniser = match real_speech {
        Some(_) => Err(String::new()),
        None => speech::start().await,
    };
    let behind = recogniser
        .as_ref()
        .ok()
        .map(|local| Recogniser { base_url: local.base_url.clone(), api_key: local.api_key.clone() });
    let stand_ins = StandIns::start(StandInOptions {
        recogniser: behind,
        processing_delay: Duration::from_millis(200),
        latency: Duration::ZERO,
    })
    .await?;
    let speech = match (real_speech, &recogniser) {
        (Some(real), _) => real,
        (None, Ok(_)) => {
            config.speech.provider = Some(SpeechProvider::Assemblyai);
            config.speech.assemblyai_base_url = stand_ins.assemblyai_url();
            config.speech.assemblyai_api_key = Some(stand_ins.assemblyai_key());
            config.speech.assemblyai_sentiment = true;
            config.speech.assemblyai_entities = true;
            config.speech.poll_seconds = 1.0;
            named("stand-in for AssemblyAI, with a local recogniser (Whisper tiny.en) that really listens", "stand_in")
        }
        (None, Err(reason)) => {
            config.speech.provider = Some(SpeechProvider::None);
            named(&format!("nobody: {reason}"), "none")
        }
    };
    let elsewhere = config.language_model.base_url.host_str() != Some("api.openai.com");
    let language_model = if config.language_model.api_key.is_some() || elsewhere {
        named(&format!("{} at {}", config.language_model.model, config.language_model.base_url), "real")
    } else {
        config.language_model.base_url = stand_ins.openai_url();
        config.language_model.api_key = Some(stand_ins.openai_key());
        named(
            "stand-in for OpenAI that judges by the phrases in the criteria's guidance; no language model",
            "stand_in",
        )
    };
    Ok(Providers {
        names: ProviderNames { speech, language_model },
        _stand_ins: stand_ins,
        _recogniser: recogniser.ok(),
    })
}
