//! A project's own calls: `calls/*.json`, each an input, perhaps settings, and what is expected to come out.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use plumbline::platform::plugins::{LogLevel, Plugin, PluginError, PromptInput, Run, ScoreInput, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failed;
use crate::commands::Failure;

/// What stands in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// The input of a scorer or of a prompt builder.
    input: Value,
    /// Settings of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settings: Option<Value>,
    /// What the output must have; what is not named here may be anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<Value>,
}

/// Runs every call of a directory, and gives what is not as expected, a line each. With `accept` that becomes what is expected.
pub async fn run(plugin: &Plugin, settings: &str, directory: &Path, accept: bool) -> Result<Vec<String>, Failure> {
    let mut violations = Vec::new();
    for path in files(directory)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let unreadable = |error: &dyn std::fmt::Display| Failure::Said(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&error))?;
        let mut own: Own = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
        let settings = own.settings.as_ref().map_or_else(|| settings.to_owned(), Value::to_string);
        let run = once(plugin, &settings, &own.input).await.map_err(|why| unreadable(&why))?;
        show(&name, &run)?;
        let found = match run.outcome {
            Ok(found) => found,
            Err(error) => {
                violations.push(format!("{name}: {error}"));
                continue;
            }
        };
        if accept {
            own.expected = Some(found);
            fs::write(&path, serde_json::to_string_pretty(&own)? + "\n")?;
        } else if let Some(expected) = &own.expected {
            violations.extend(difference(expected, &found, "").map(|why| format!("{name}: {why}")));
        }
    }
    Ok(violations)
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// One run, its output as JSON. The error is about the file: an input that is none, or a host that failed.
async fn once(plugin: &Plugin, settings: &str, input: &Value) -> Result<Run<Value>, String> {
    fn plain<T: Serialize>(run: Run<T>) -> Result<Run<Value>, String> {
        let Run { outcome, log, memory_bytes, elapsed_us, fuel } = run;
        let outcome = match outcome {
            Ok(found) => Ok(serde_json::to_value(found).map_err(|error| error.to_string())?),
            Err(error) => Err(error),
        };
        Ok(Run { outcome, log, memory_bytes, elapsed_us, fuel })
    }
    let host = |error: PluginError| failed(error).to_string();
    match plugin.world() {
        World::Scorer => {
            let input = ScoreInput::deserialize(input).map_err(|error| format!("input: {error}"))?;
            plain(plugin.run_score(settings, &input).await.map_err(host)?)
        }
        World::PromptBuilder => {
            let input = PromptInput::deserialize(input).map_err(|error| format!("input: {error}"))?;
            plain(plugin.run_build(settings, &input).await.map_err(host)?)
        }
    }
}

fn show(name: &str, run: &Run<Value>) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let came_out = match &run.outcome {
        Ok(found) => told(found),
        Err(error) => error.to_string(),
    };
    writeln!(out, "calls/{name}: {came_out} ({} instructions, {} µs)", run.fuel, run.elapsed_us)?;
    for (level, message) in &run.log.messages {
        let level = match level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        writeln!(out, "  {level}: {message}")?;
    }
    if run.log.truncated > 0 {
        writeln!(out, "  {} messages were cut or not kept", run.log.truncated)?;
    }
    Ok(())
}

/// An output in a line.
fn told(found: &Value) -> String {
    let many = |key: &str| found[key].as_array().map_or(0, Vec::len);
    match (&found["user"], found["overall"].as_u64()) {
        (Value::String(user), _) => {
            let system = found["system"].as_str().unwrap_or_default();
            format!("a prompt of {} and {} characters", system.chars().count(), user.chars().count())
        }
        (_, Some(hundredths)) => {
            format!("score {}.{:02}, {} insights", hundredths / 100, hundredths % 100, many("insights"))
        }
        _ => format!("no score, {} insights", many("insights")),
    }
}

/// Where what came out is not what is expected: objects by the keys that are named, everything else as a whole.
fn difference(expected: &Value, found: &Value, at: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(wanted), Value::Object(there)) => wanted.iter().find_map(|(key, wanted)| {
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            difference(wanted, there.get(key).unwrap_or(&Value::Null), &at)
        }),
        _ if expected == found => None,
        _ => Some(format!("{at} is {found}, expected was {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_named_may_be_anything() {
        let found = json!({"overall": 7278, "insights": [{"text": "a"}], "metadata": []});
        assert_eq!(difference(&json!({}), &found, ""), None);
        assert_eq!(difference(&json!({"overall": 7278}), &found, ""), None);
        let wrong = difference(&json!({"overall": 7500, "metadata": []}), &found, "");
        assert_eq!(wrong.as_deref(), Some("overall is 7278, expected was 7500"));
        assert!(difference(&json!({"insights": []}), &found, "").is_some());
        let nothing = difference(&json!({"passed": true}), &found, "");
        assert_eq!(nothing.as_deref(), Some("passed is null, expected was true"));
    }

    #[test]
    fn an_output_is_told_in_a_line() {
        assert_eq!(told(&json!({"overall": 7205, "insights": [1, 2]})), "score 72.05, 2 insights");
        assert_eq!(told(&json!({"overall": null, "insights": []})), "no score, 0 insights");
        assert_eq!(told(&json!({"system": "ü", "user": "ab"})), "a prompt of 1 and 2 characters");
    }
}
