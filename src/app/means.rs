//! Providers and stores as the settings name them.

use std::{sync::Arc, time::Duration};

use object_store::{ObjectStore, aws::AmazonS3Builder, local::LocalFileSystem};
use secrecy::{ExposeSecret, SecretString};

use super::StartError;
use crate::{
    foundation::config::{LanguageModelConfig, ObjectsConfig, SpeechConfig, SpeechProvider},
    platform::{
        plugins::{Limits, PluginHost},
        providers::{
            QuickRetries, http_client,
            llm::{LanguageModel, OpenAi, OpenAiSettings},
            speech::{AssemblyAi, AssemblyAiSettings, Recogniser, RecogniserSettings, SpeechToText},
        },
    },
};

/// A bucket where one is named, else a directory.
pub(super) fn objects(config: &ObjectsConfig) -> Result<Arc<dyn ObjectStore>, StartError> {
    let Some(bucket) = &config.bucket else {
        std::fs::create_dir_all(&config.directory)?;
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
                timeout,
                retries: QuickRetries::default(),
            };
            Some(Arc::new(AssemblyAi::new(settings, http_client()?)?))
        }
        SpeechProvider::Recogniser => {
            let settings = RecogniserSettings {
                base_url: config.recogniser_base_url.clone().ok_or(StartError::Missing("PLUMBLINE_SPEECH_URL"))?,
                api_key: config.recogniser_api_key.clone(),
                model: config.recogniser_model.clone(),
                max_audio_bytes: None,
                timeout,
                retries: QuickRetries::default(),
            };
            Some(Arc::new(Recogniser::new(settings, http_client()?)?))
        }
    })
}

/// Who answers the scorecards' questions. Without a key the calls fail at the question, and say why.
pub(super) fn language_model(config: &LanguageModelConfig) -> Result<Arc<dyn LanguageModel>, StartError> {
    let settings = OpenAiSettings {
        base_url: config.base_url.clone(),
        api_key: config.api_key.clone().unwrap_or_else(|| SecretString::from("no-key")),
        model: config.model.clone(),
        organization: config.organization.clone(),
        project: config.project.clone(),
        temperature: config.temperature,
        max_completion_tokens: config.max_completion_tokens,
        timeout: Duration::from_secs(config.timeout_seconds),
        retries: QuickRetries::default(),
    };
    Ok(Arc::new(OpenAi::new(settings, http_client()?)?))
}

pub(super) fn plugins() -> Result<Arc<PluginHost>, StartError> {
    Ok(Arc::new(PluginHost::new(Limits::default())?))
}
