//! Reading settings.

use std::path::Path;

use figment::{Figment, providers::Serialized};
use serde_json::Value;

use super::Config;

/// The defaults are the documented sample itself, so that it cannot lie.
const SAMPLE: &str = include_str!("../../../docs/plumbline.sample.toml");

/// Names that other programs made well known, and the settings that they stand for.
const WELL_KNOWN: &[(&str, &str)] = &[
    ("DATABASE_URL", "database.url"),
    ("DATABASE_OWNER_URL", "database.owner_url"),
    ("AWS_ACCESS_KEY_ID", "objects.access_key_id"),
    ("AWS_SECRET_ACCESS_KEY", "objects.secret_access_key"),
    ("PLUMBLINE_MASTER_KEY", "crypto.master_key"),
    ("ASSEMBLYAI_API_KEY", "speech.assemblyai_api_key"),
    ("PLUMBLINE_SPEECH_URL", "speech.recogniser_base_url"),
    ("PLUMBLINE_SPEECH_KEY", "speech.recogniser_api_key"),
    ("OPENAI_BASE_URL", "language_model.base_url"),
    ("OPENAI_API_KEY", "language_model.api_key"),
    ("OPENAI_ORGANIZATION", "language_model.organization"),
    ("OPENAI_PROJECT", "language_model.project"),
];

/// Names under our prefix that scripts and tests read; they are no settings of the server.
const NOT_SETTINGS: &[&str] = &[
    "PLUMBLINE_CONFIG",
    "PLUMBLINE_PG_BIN",
    "PLUMBLINE_SEED",
    "PLUMBLINE_ATTEMPTS",
    "PLUMBLINE_CACHE",
    "PLUMBLINE_DATA",
    "PLUMBLINE_PLUGINS_DIR",
    "PLUMBLINE_SPEECH_MAX_BYTES",
    "PLUMBLINE_SPEECH_THREADS",
    "PLUMBLINE_TOKEN",
    "PLUMBLINE_URL",
];

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the settings file {path} cannot be read: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML. The message names the place, not the content.
    #[error("the settings file {path} is not TOML: {reason}")]
    Toml {
        /// Which.
        path: String,
        /// Where and why.
        reason: String,
    },
    /// An environment variable under our prefix is no setting.
    #[error("{0} is no setting of Plumbline; settings are named PLUMBLINE_<SECTION>__<SETTING>")]
    UnknownVariable(String),
    /// A number is outside of what makes sense.
    #[error("the setting {setting} must be between {least} and {most}")]
    Range {
        /// Which.
        setting: &'static str,
        /// The least value.
        least: u64,
        /// The greatest value.
        most: u64,
    },
    /// A setting is unknown or has a wrong value.
    #[error("settings: {0}")]
    Invalid(#[from] Box<figment::Error>),
}

/// Settings from their defaults, then `file`, then the environment.
///
/// # Errors
/// [`ConfigError`], also for a setting that does not exist.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    read(file, &variables)
}

fn read(file: Option<&Path>, variables: &[(String, String)]) -> Result<Config, ConfigError> {
    let mut figment = Figment::from(Serialized::defaults(parse(SAMPLE, "sample")?));
    if let Some(path) = file {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File { path: shown.clone(), source })?;
        figment = figment.merge(Serialized::defaults(parse(&text, &shown)?));
    }
    for (name, value) in variables {
        if let Some((_, setting)) = WELL_KNOWN.iter().find(|(known, _)| known == name) {
            if !value.is_empty() {
                figment = figment.merge(Serialized::default(setting, value));
            }
        } else if let Some(rest) = name.strip_prefix("PLUMBLINE_")
            && !NOT_SETTINGS.contains(&name.as_str())
            && !rest.starts_with("TEST_")
        {
            let Some((section, setting)) = rest.split_once("__") else {
                return Err(ConfigError::UnknownVariable(name.clone()));
            };
            let setting = format!("{}.{}", section.to_lowercase(), setting.to_lowercase());
            figment = figment.merge(Serialized::default(&setting, typed(value)));
        }
    }
    let config = figment.extract().map_err(|error| ConfigError::Invalid(Box::new(error)))?;
    ranges(&config)?;
    Ok(config)
}

/// The defaults, for programs and tests that change a few.
///
/// # Panics
/// Never: a test reads the sample.
pub fn defaults() -> Config {
    read(None, &[]).expect("the documented sample is complete")
}

/// Numbers that would stop a server or overflow its clock.
fn ranges(config: &Config) -> Result<(), ConfigError> {
    const DAY_S: u64 = 24 * 3_600;
    const TIB: u64 = 1 << 40;
    let numbers = [
        ("database.lanes", config.database.lanes as u64, 1, 10_000),
        ("database.prepared_statements", config.database.prepared_statements.get() as u64, 1, 100_000),
        ("upload.max_bytes", config.upload.max_bytes, 1, TIB),
        ("upload.max_json_bytes", config.upload.max_json_bytes, 1_024, 1 << 30),
        ("upload.idle_seconds", config.upload.idle_seconds, 1, DAY_S),
        ("speech.timeout_seconds", config.speech.timeout_seconds, 1, DAY_S),
        ("language_model.timeout_seconds", config.language_model.timeout_seconds, 1, DAY_S),
        ("language_model.request_characters", config.language_model.request_characters as u64, 1_000, 100_000_000),
        ("plugins.compile_seconds", config.plugins.compile_seconds, 1, 3_600),
        ("plugins.compile_memory_bytes", config.plugins.compile_memory_bytes, 64 << 20, TIB),
        ("plugins.artefacts_max_bytes", config.plugins.artefacts_max_bytes, 0, TIB),
        ("plugins.concurrency", config.plugins.concurrency.into(), 1, 500),
        ("plugins.tenant_concurrency", config.plugins.tenant_concurrency.into(), 1, 500),
        ("worker.concurrency", config.worker.concurrency as u64, 1, 10_000),
        ("worker.lease_seconds", config.worker.lease_seconds, 3, DAY_S),
        ("worker.drain_seconds", config.worker.drain_seconds, 0, DAY_S),
        ("worker.abandoned_upload_seconds", config.worker.abandoned_upload_seconds, 0, 365 * DAY_S),
        ("plugins.keep_runs_days", u64::from(config.plugins.keep_runs_days), 1, 3_650),
    ];
    for (setting, value, least, most) in numbers {
        if !(least..=most).contains(&value) {
            return Err(ConfigError::Range { setting, least, most });
        }
    }
    if !(0.01..=3_600.0).contains(&config.speech.poll_seconds) {
        return Err(ConfigError::Range { setting: "speech.poll_seconds", least: 0, most: 3_600 });
    }
    Ok(())
}

/// A variable's text as figment reads one: numbers, booleans and lists as such, everything else as text.
fn typed(value: &str) -> figment::value::Value {
    value.parse().unwrap_or_else(|never: std::convert::Infallible| match never {})
}

fn parse(text: &str, path: &str) -> Result<Value, ConfigError> {
    toml::from_str(text)
        .map_err(|error| ConfigError::Toml { path: path.to_owned(), reason: error.message().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use secrecy::ExposeSecret;

    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read(None, &variables)
    }

    #[test]
    fn the_sample_documents_every_setting() {
        let all = SAMPLE.replace("#? ", "");
        let _: Config = serde_json::from_value(parse(&all, "sample").unwrap()).unwrap(); // knows no setting too many
        for line in include_str!("mod.rs").lines() {
            let Some((name, _)) = line.strip_prefix("    pub ").and_then(|field| field.split_once(": ")) else {
                continue;
            };
            let documented = all.contains(&format!("\n[{name}]")) || all.contains(&format!("\n{name} = "));
            assert!(documented, "{name} is missing from the sample");
        }
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "[server]\nbind = \"127.0.0.1:1\"\n[worker]\nconcurrency = 3").unwrap();
        let variables = [("PLUMBLINE_SERVER__BIND".to_owned(), "127.0.0.1:2".to_owned())];
        let config = read(Some(file.path()), &variables).unwrap();
        assert_eq!((config.server.bind.port(), config.worker.concurrency), (2, 3));
        assert_eq!(config.database.lanes, 16, "what is absent keeps its default");
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = with(&[("OPENAI_API_KEY", "sk-12345"), ("DATABASE_URL", "postgresql://a:pw@h/d")]).unwrap();
        assert_eq!(config.language_model.api_key.as_ref().unwrap().expose_secret(), "sk-12345");
        let shown = format!("{config:?}");
        assert!(!shown.contains("sk-12345") && !shown.contains("pw@h"), "{shown}");
    }

    #[test]
    fn a_numeric_secret_stays_text() {
        assert!(with(&[("OPENAI_API_KEY", "12345")]).is_ok());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for (name, value) in [
            ("PLUMBLINE_WORKER__LEASE_SECONDS", "18446744073709551615"),
            ("PLUMBLINE_WORKER__CONCURRENCY", "0"),
            ("PLUMBLINE_DATABASE__LANES", "0"),
            ("PLUMBLINE_DATABASE__PREPARED_STATEMENTS", "0"),
            ("PLUMBLINE_DATABASE__PREPARED_STATEMENTS", "100001"),
            ("PLUMBLINE_SPEECH__POLL_SECONDS", "-1"),
            ("PLUMBLINE_SPEECH__POLL_SECONDS", "nan"),
        ] {
            assert!(with(&[(name, value)]).is_err(), "{name}={value}");
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(matches!(with(&[("PLUMBLINE_BIND", "x")]), Err(ConfigError::UnknownVariable(_))));
        for name in ["PLUMBLINE_SERVER__BINDD", "PLUMBLINE_NOPE__X"] {
            assert!(matches!(with(&[(name, "x")]), Err(ConfigError::Invalid(_))), "{name}");
        }
        assert!(with(&[("PLUMBLINE_SERVER__BIND", "nowhere")]).unwrap_err().to_string().contains("bind"));
        assert!(with(&[("PLUMBLINE_CACHE", "/x"), ("PATH", "/bin")]).is_ok());
    }
}
