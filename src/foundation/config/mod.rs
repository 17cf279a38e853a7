//! Settings: from a file and from the environment, which wins. `docs/plumbline.sample.toml` documents every one; a test keeps it complete.

mod load;
mod prices;

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

pub use self::{
    load::{ConfigError, defaults, load},
    prices::{ModelPriceConfig, PricesConfig},
};

/// Everything that can be set. `Debug` shows no secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the server listens.
    pub server: ServerConfig,
    /// Where PostgreSQL is.
    pub database: DatabaseConfig,
    /// Where recordings and plugins are stored.
    pub objects: ObjectsConfig,
    /// What limits uploads.
    pub upload: UploadConfig,
    /// How archives of tenants are kept.
    pub archives: ArchivesConfig,
    /// Whose tokens are trusted.
    pub identity: IdentityConfig,
    /// What secrets are sealed with.
    pub crypto: CryptoConfig,
    /// Who turns speech into text.
    pub speech: SpeechConfig,
    /// Who answers the scorecards' questions.
    pub language_model: LanguageModelConfig,
    /// What providers cost.
    pub prices: PricesConfig,
    /// How plugins run.
    pub plugins: PluginsConfig,
    /// How jobs are worked off.
    pub worker: WorkerConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// Where the server listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port.
    pub bind: SocketAddr,
    /// Where providers can reach this server, for their webhooks; without it transcriptions are polled.
    pub public_url: Option<Url>,
}

/// Where PostgreSQL is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// The login role's connection string: it must own nothing. Also `DATABASE_URL`.
    pub url: Option<SecretString>,
    /// The owner's connection string, for migrations and new tenants alone. Also `DATABASE_OWNER_URL`.
    pub owner_url: Option<SecretString>,
    /// Connections of this process.
    pub lanes: usize,
    /// Statements that each of them keeps prepared.
    pub prepared_statements: NonZeroUsize,
}

/// Where recordings and plugins are stored.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsConfig {
    /// A local directory; used when there is no bucket.
    pub directory: PathBuf,
    /// An S3 bucket.
    pub bucket: Option<String>,
    /// The bucket's region.
    pub region: String,
    /// An S3 server other than Amazon's, such as `http://127.0.0.1:9000`.
    pub endpoint: Option<Url>,
    /// Also `AWS_ACCESS_KEY_ID`.
    pub access_key_id: Option<SecretString>,
    /// Also `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<SecretString>,
}

/// What limits uploads.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadConfig {
    /// The largest recording.
    pub max_bytes: u64,
    /// The largest JSON body.
    pub max_json_bytes: u64,
    /// How long a client may be silent.
    pub idle_seconds: u64,
}

/// How archives of tenants are kept.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivesConfig {
    /// How many days an archive stays in the object store.
    pub keep_days: u32,
    /// The largest archive that is taken in to be restored.
    pub max_bytes: u64,
}

/// Whose tokens are trusted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// The `aud` that every token must name.
    pub audience: String,
    /// The OIDC issuer of the people who run Plumbline: its tokens with the role `platform_operator` open /api/tenants and the like, and
    /// no tenant's calls. Without it nobody's do.
    pub operator_issuer: Option<String>,
    /// Trust issuers that say of themselves that they are for development. Refused unless the server listens on loopback.
    pub trust_development_issuer: bool,
}

/// What secrets are sealed with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CryptoConfig {
    /// 32 bytes in base64, the same in every process. Without it receipts are not signed. Also `PLUMBLINE_MASTER_KEY`.
    pub master_key: Option<SecretString>,
}

/// Who turns speech into text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeechProvider {
    /// AssemblyAI.
    Assemblyai,
    /// A self-hosted server with OpenAI's `/v1/audio/transcriptions`.
    Recogniser,
    /// Nobody: calls with audio fail and say so.
    None,
}

/// What stands where AssemblyAI has taken personal data out of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedactedAs {
    /// The sort of data: `[PERSON_NAME]`.
    EntityName,
    /// A `#` for each letter.
    Hash,
}

/// Who turns speech into text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeechConfig {
    /// Who; when absent, AssemblyAI if it has a key, the recogniser if it has an address, else nobody.
    pub provider: Option<SpeechProvider>,
    /// The language of recordings whose call names none (BCP 47); when absent, the provider finds out.
    pub language: Option<String>,
    /// Names and terms that are likely to be said.
    pub vocabulary: Vec<String>,
    /// AssemblyAI's address.
    pub assemblyai_base_url: Url,
    /// Also `ASSEMBLYAI_API_KEY`.
    pub assemblyai_api_key: Option<SecretString>,
    /// AssemblyAI's models, in order of preference.
    pub assemblyai_models: Vec<String>,
    /// How sentences sound.
    pub assemblyai_sentiment: bool,
    /// Names, numbers and the like in the words.
    pub assemblyai_entities: bool,
    /// The sorts of personal data that AssemblyAI takes out of the words; empty for none.
    pub assemblyai_redact: Vec<String>,
    /// What stands in their place.
    pub assemblyai_redact_as: RedactedAs,
    /// The languages among which one is detected (BCP 47); empty for any.
    pub assemblyai_expected_languages: Vec<String>,
    /// A language detected with less confidence (0 to 1) fails the call.
    pub assemblyai_least_language_confidence: Option<f32>,
    /// The recogniser's address, with `/v1`. Also `PLUMBLINE_SPEECH_URL`.
    pub recogniser_base_url: Option<Url>,
    /// The recogniser's key, if it wants one. Also `PLUMBLINE_SPEECH_KEY`.
    pub recogniser_api_key: Option<SecretString>,
    /// The recogniser's model.
    pub recogniser_model: String,
    /// The recogniser tells channels apart by itself; otherwise each channel of a WAV is sent alone.
    pub recogniser_splits_channels: bool,
    /// The largest file that the recogniser takes; a larger one fails its call without being sent.
    pub recogniser_max_bytes: Option<u64>,
    /// The time that one request may take.
    pub timeout_seconds: u64,
    /// The least time between two looks at a transcription that runs.
    pub poll_seconds: f64,
}

/// Who answers the scorecards' questions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageModelConfig {
    /// OpenAI's address or that of a compatible server, with `/v1`. Also `OPENAI_BASE_URL`.
    pub base_url: Url,
    /// Also `OPENAI_API_KEY`.
    pub api_key: Option<SecretString>,
    /// The model.
    pub model: String,
    /// Also `OPENAI_ORGANIZATION`.
    pub organization: Option<String>,
    /// Also `OPENAI_PROJECT`.
    pub project: Option<String>,
    /// Sent only when set: reasoning models refuse it.
    pub temperature: Option<f64>,
    /// Sent only when set: asks the provider to answer equal questions equally.
    pub seed: Option<i64>,
    /// The most tokens that one answer may cost.
    pub max_completion_tokens: Option<u32>,
    /// The most characters of one request; a longer call is asked about in parts.
    pub request_characters: usize,
    /// The time that one request may take.
    pub timeout_seconds: u64,
    /// How long people wait for its answers who try criteria or have questions reviewed; what comes later is kept all the same.
    pub patience_seconds: u64,
}

/// How plugins run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginsConfig {
    /// The program that compiles and tries them in a process of its own; this very program when absent.
    pub validator: Option<PathBuf>,
    /// Processor time that the compiler may take for one of them.
    pub compile_seconds: u64,
    /// Memory that the compiler may take.
    pub compile_memory_bytes: u64,
    /// Where their machine code is kept, sealed under the master key; without one it is not kept.
    pub artefacts: PathBuf,
    /// All of that machine code together.
    pub artefacts_max_bytes: u64,
    /// Calls of all tenants' plugins that run at once in this process.
    pub concurrency: u32,
    /// Calls of one tenant's plugins that run at once in this process.
    pub tenant_concurrency: u32,
    /// How long runs are kept for their authors, with what the plugins logged.
    pub keep_runs_days: u32,
}

/// How jobs are worked off.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Jobs that run at once in this process.
    pub concurrency: usize,
    /// How long a worker may be silent before its jobs are given to others.
    pub lease_seconds: u64,
    /// How long running jobs may take to end on SIGTERM.
    pub drain_seconds: u64,
    /// Uploads that nobody finished are swept away after this time.
    pub abandoned_upload_seconds: u64,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines, in the form of `RUST_LOG`, such as `info,plumbline=debug`.
    pub filter: String,
}
