//! What a trial is given: a scorecard, conversations, labels. Every mistake is told with its file and line.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::product::scorecards::model::{AnswerKind, Definition, from_document, from_yaml};

/// The longest line that is read: a conversation of a hundred thousand words is shorter.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// Why a trial's input cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The scorecard is none.
    #[error("{}: {why}", file.display())]
    Scorecard {
        /// Which file.
        file: PathBuf,
        /// What is wrong, and where.
        why: String,
    },
    /// A line is not what it should be.
    #[error("{}:{line}: {why}", file.display())]
    Line {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// There is nothing to try.
    #[error("{}: has no conversation", .0.display())]
    Empty(PathBuf),
}

/// A conversation, as `POST /api/calls` takes it.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Its own name.
    pub external_id: String,
    /// The body, without an organization.
    pub body: Value,
}

/// What a careful person answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Of which conversation.
    pub external_id: String,
    /// To which criterion.
    pub criterion: String,
    /// `yes`, `no`, `not_applicable`, or the key of a choice or range.
    pub label: String,
}

/// The scorecard of a `.json`, `.yaml` or `.yml` file, valid.
///
/// # Errors
/// [`InputError`].
pub fn scorecard(file: &Path) -> Result<Definition, InputError> {
    let text = std::fs::read_to_string(file).map_err(|source| InputError::Read { file: file.to_owned(), source })?;
    let wrong = |why: String| InputError::Scorecard { file: file.to_owned(), why };
    let json = file.extension().is_some_and(|extension| extension == "json");
    let read = match json {
        true => from_document(serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?),
        false => from_yaml(&text),
    };
    let definition = read.map_err(|error| wrong(error.to_string()))?;
    definition.validate().map_err(|violations| {
        let told = violations.iter().map(|violation| format!("\n  {}: {}", violation.field, violation.message));
        wrong(format!("the scorecard is not valid:{}", told.collect::<String>()))
    })?;
    Ok(definition)
}

/// The conversations of a JSON Lines file, each with a name of its own.
///
/// # Errors
/// [`InputError`], at the first line that is wrong.
pub fn conversations(file: &Path) -> Result<Vec<Conversation>, InputError> {
    let (mut found, mut names) = (vec![], HashSet::new());
    for_each_line(file, |text| {
        let mut body: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let members = body.as_object_mut().ok_or("is not a JSON object")?;
        if members.contains_key("organization_id") {
            return Err("has an organization_id; a trial has an organization of its own".to_owned());
        }
        let external_id = members.get("external_id").and_then(Value::as_str).ok_or("has no external_id")?.to_owned();
        if !members.get("utterances").is_some_and(Value::is_array) {
            return Err("has no utterances".to_owned());
        }
        if !names.insert(external_id.clone()) {
            return Err(format!("the external_id {external_id} was there before"));
        }
        found.push(Conversation { external_id, body });
        Ok(())
    })?;
    if found.is_empty() { Err(InputError::Empty(file.to_owned())) } else { Ok(found) }
}

/// The labels of a JSON Lines file: (external_id, criterion) → label. Each must be of a conversation, of a criterion, and an answer that this has.
///
/// # Errors
/// [`InputError`], at the first line that is wrong.
pub fn labels(
    file: &Path,
    definition: &Definition,
    conversations: &[Conversation],
) -> Result<HashMap<(String, String), String>, InputError> {
    let names: HashSet<&str> = conversations.iter().map(|conversation| conversation.external_id.as_str()).collect();
    let mut found = HashMap::new();
    for_each_line(file, |text| {
        let Label { external_id, criterion, label } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if !names.contains(external_id.as_str()) {
            return Err(format!("there is no conversation {external_id}"));
        }
        let asked = definition.criteria().find(|asked| asked.key == criterion);
        let asked = asked.ok_or_else(|| format!("the scorecard has no criterion {criterion}"))?;
        if matches!(asked.answer.kind, AnswerKind::MultipleChoice | AnswerKind::Text) {
            return Err(format!("answers to {criterion} are not one word, so they cannot be labelled"));
        }
        let answers = asked.answer.possible_words();
        if label != "not_applicable" && !answers.contains(&label.as_str()) {
            return Err(format!("{label} is no answer to {criterion}; answers are {}", answers.join(", ")));
        }
        match found.insert((external_id, criterion), label) {
            Some(_) => Err("this conversation and criterion had a label before".to_owned()),
            None => Ok(()),
        }
    })?;
    Ok(found)
}

fn for_each_line(file: &Path, mut each: impl FnMut(&str) -> Result<(), String>) -> Result<(), InputError> {
    let failed = |source| InputError::Read { file: file.to_owned(), source };
    let mut reader = BufReader::new(File::open(file).map_err(failed)?);
    let mut text = String::new();
    for line in 1.. {
        let wrong = |why: String| InputError::Line { file: file.to_owned(), line, why };
        text.clear();
        let read = (&mut reader).take(LONGEST_LINE).read_line(&mut text).map_err(failed)?;
        if read == 0 {
            break;
        }
        if read as u64 == LONGEST_LINE {
            return Err(wrong(format!("is longer than {LONGEST_LINE} bytes")));
        }
        if !text.trim().is_empty() {
            each(text.trim()).map_err(wrong)?;
        }
    }
    Ok(())
}
