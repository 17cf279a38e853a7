//! Providers and stores as the settings name them.

use std::{os::unix::fs::DirBuilderExt, sync::Arc, time::Duration};

use object_store::{ObjectStore, aws::AmazonS3Builder, local::LocalFileSystem};
use secrecy::{ExposeSecret, SecretString};

use super::StartError;
use crate::{
    foundation::{
        config::{
            CryptoConfig, LanguageModelConfig, ModelPriceConfig, ObjectsConfig, PluginsConfig, PricesConfig,
            RedactedAs, SpeechConfig, SpeechProvider,
        },
        crypto::MasterKey,
    },
    platform::{
        plugins::{ArtefactOptions, HostOptions, Limits, PluginError, PluginHost, ShareLimits, ValidatorOptions},
        providers::{
            PermanentKind, ProviderError, QuickRetries, Tokens, http_client,
            llm::{Completed, Completion, LanguageModel, OpenAi, OpenAiSettings},
            speech::{
                AssemblyAi, AssemblyAiFeatures, AssemblyAiSettings, PiiRedaction, PiiSubstitute, Recogniser,
                RecogniserSettings, SpeechOptions, SpeechToText,
            },
        },
    },
    product::evaluations::cost::{ModelPrice, Prices},
};

/// A bucket where one is named, else a directory.
pub(super) fn objects(config: &ObjectsConfig) -> Result<Arc<dyn ObjectStore>, StartError> {
    let Some(bucket) = &config.bucket else {
        // Calls are in it: whoever else is on the machine has no business there.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.directory)?;
        // Synced, as PostgreSQL's commits are: a call that was accepted has its recording after a power cut as well.
        let directory = LocalFileSystem::new_with_prefix(&config.directory)?;
        return Ok(Arc::new(directory.with_automatic_cleanup(true).with_fsync(true)));
    };
    let mut s3 = AmazonS3Builder::new().with_bucket_name(bucket).with_region(&config.region);
    if let Some(endpoint) = &config.endpoint {
        s3 = s3
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_allow_http(endpoint.scheme() == "http")
            .with_virtual_hosted_style_request(false);
    }
    if let Some(id) = &config.access_key_id {
        s3 = s3.with_access_key_id(id.expose_secret());
    }
    if let Some(secret) = &config.secret_access_key {
        s3 = s3.with_secret_access_key(secret.expose_secret());
    }
    Ok(Arc::new(s3.build()?))
}

/// Who turns speech into text, if anybody.
pub(super) fn speech(config: &SpeechConfig) -> Result<Option<Arc<dyn SpeechToText>>, StartError> {
    let provider = config.provider.unwrap_or(match (&config.assemblyai_api_key, &config.recogniser_base_url) {
        (Some(_), _) => SpeechProvider::Assemblyai,
        (None, Some(_)) => SpeechProvider::Recogniser,
        (None, None) => SpeechProvider::None,
    });
    let timeout = Duration::from_secs(config.timeout_seconds);
    Ok(match provider {
        SpeechProvider::None => None,
        SpeechProvider::Assemblyai => {
            let settings = AssemblyAiSettings {
                base_url: config.assemblyai_base_url.clone(),
                api_key: config.assemblyai_api_key.clone().ok_or(StartError::Missing("ASSEMBLYAI_API_KEY"))?,
                speech_models: config.assemblyai_models.clone(),
                features: features(config),
                timeout,
                retries: QuickRetries::default(),
            };
            let client = AssemblyAi::new(settings, http_client()?)?;
            client.accepts(&config.vocabulary)?;
            Some(Arc::new(client))
        }
        SpeechProvider::Recogniser => {
            let settings = RecogniserSettings {
                base_url: config.recogniser_base_url.clone().ok_or(StartError::Missing("PLUMBLINE_SPEECH_URL"))?,
                api_key: config.recogniser_api_key.clone(),
                model: config.recogniser_model.clone(),
                splits_channels: config.recogniser_splits_channels,
                max_audio_bytes: config.recogniser_max_bytes,
                timeout,
                retries: QuickRetries::default(),
            };
            Some(Arc::new(Recogniser::new(settings, http_client()?)?))
        }
    })
}

/// What AssemblyAI is asked for beyond the words.
fn features(config: &SpeechConfig) -> AssemblyAiFeatures {
    let substitute = match config.assemblyai_redact_as {
        RedactedAs::EntityName => PiiSubstitute::EntityName,
        RedactedAs::Hash => PiiSubstitute::Hash,
    };
    let policies = config.assemblyai_redact.clone();
    AssemblyAiFeatures {
        sentiment: config.assemblyai_sentiment,
        entities: config.assemblyai_entities,
        redaction: (!policies.is_empty()).then_some(PiiRedaction { policies, substitute }),
        expected_languages: config.assemblyai_expected_languages.clone(),
        least_language_confidence: config.assemblyai_least_language_confidence,
    }
}

/// How every recording is to be transcribed, unless its call says otherwise.
pub(super) fn hearing(config: &SpeechConfig) -> SpeechOptions {
    SpeechOptions { language: config.language.clone(), keyterms: config.vocabulary.clone(), ..SpeechOptions::default() }
}

/// What seals the keys that sign receipts.
pub(super) fn master_key(config: &CryptoConfig) -> Result<Option<MasterKey>, StartError> {
    Ok(config.master_key.as_ref().map(MasterKey::parse).transpose()?)
}

/// Who answers the scorecards' questions. Without a key nothing is sent to OpenAI; another server may be one that asks for none.
pub(super) fn language_model(config: &LanguageModelConfig) -> Result<Arc<dyn LanguageModel>, StartError> {
    if config.api_key.is_none() && config.base_url.host_str() == Some("api.openai.com") {
        tracing::warn!("no language model is configured: calls will fail at their assessment, and say so");
        return Ok(Arc::new(NoLanguageModel));
    }
    let settings = OpenAiSettings {
        base_url: config.base_url.clone(),
        api_key: config.api_key.clone().unwrap_or_else(|| SecretString::from("none")),
        model: config.model.clone(),
        organization: config.organization.clone(),
        project: config.project.clone(),
        temperature: config.temperature,
        seed: config.seed,
        max_completion_tokens: config.max_completion_tokens,
        timeout: Duration::from_secs(config.timeout_seconds),
        retries: QuickRetries::default(),
    };
    Ok(Arc::new(OpenAi::new(settings, http_client()?)?))
}

/// Stands where a language model is missing, and sends nothing anywhere.
struct NoLanguageModel;

#[async_trait::async_trait]
impl LanguageModel for NoLanguageModel {
    fn name(&self) -> &'static str {
        "none"
    }

    fn model(&self) -> &str {
        "none"
    }

    async fn complete(&self, _: &Completion) -> Result<Completed, ProviderError> {
        Err(ProviderError::Permanent {
            provider: "language_model",
            reason: "no language model is configured; set OPENAI_API_KEY or OPENAI_BASE_URL and retry the call"
                .to_owned(),
            kind: PermanentKind::Credentials,
            spent: Tokens::default(),
        })
    }
}

/// The price table.
pub(super) fn prices(config: &PricesConfig) -> Prices {
    let model = |(name, price): (&String, &ModelPriceConfig)| {
        (name.clone(), ModelPrice { input: price.input, output: price.output })
    };
    Prices {
        currency: config.currency.clone(),
        models: config.models.iter().map(model).collect(),
        audio_hours: config.audio_hours.clone(),
    }
}

/// What plugins run in. Components are compiled by a child of this program, unless another one is named.
pub(super) fn plugins(config: &PluginsConfig, master_key: Option<&MasterKey>) -> Result<Arc<PluginHost>, StartError> {
    let program = config.validator.clone().map_or_else(std::env::current_exe, Ok);
    let program = program.map_err(|error| PluginError::Host(format!("where this program is: {error}")))?;
    let options = HostOptions {
        limits: Limits { concurrency: config.concurrency, ..Limits::default() },
        share: ShareLimits { concurrency: config.tenant_concurrency, ..ShareLimits::default() },
        validator: Some(ValidatorOptions {
            program,
            compile_seconds: config.compile_seconds,
            memory_bytes: config.compile_memory_bytes,
        }),
        artefacts: master_key.map(|key| ArtefactOptions {
            directory: config.artefacts.clone(),
            max_bytes: config.artefacts_max_bytes,
            key: key.derive("machine code of plugins"),
        }),
    };
    Ok(Arc::new(PluginHost::with(options)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foundation::config::defaults;

    #[tokio::test]
    async fn without_a_key_nothing_is_sent_to_openai() {
        let config = defaults();
        let model = language_model(&config.language_model).ok().map(|model| model.name());
        assert_eq!(model, Some("none"));
        let mut own = config.language_model.clone();
        own.base_url = "http://127.0.0.1:1/v1".parse().ok().unwrap_or(own.base_url);
        assert_eq!(language_model(&own).ok().map(|model| model.name()), Some("openai"));
    }

    #[test]
    fn settings_that_every_recording_would_be_refused_for_are_refused_at_the_start() {
        let with = |change: fn(&mut SpeechConfig)| {
            let mut config = defaults().speech;
            config.assemblyai_api_key = Some("a key".into());
            change(&mut config);
            speech(&config).map(|client| client.map(|client| client.name()))
        };
        assert!(matches!(with(|_| ()), Ok(Some("assemblyai"))));
        assert!(with(|config| config.assemblyai_redact = vec!["person_name".into()]).is_ok());
        assert!(with(|config| config.assemblyai_redact = vec!["shoe_size".into()]).is_err());
        assert!(with(|config| config.vocabulary = vec!["a b c d e f g".into()]).is_err());
        assert!(with(|config| config.assemblyai_least_language_confidence = Some(2.0)).is_err());
    }
}
