//! What is different between two definitions, criterion by criterion and field by field. Pure.

use std::collections::{BTreeMap, HashMap};

use poem_openapi::Enum;
use serde_json::Value;

use super::{Criterion, Definition, Section};

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "ScorecardChangeKind", rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is there in both, and different.
    Changed,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
#[oai(rename = "ScorecardChangeSubject", rename_all = "snake_case")]
pub enum Subject {
    /// The scorecard as a whole.
    Scorecard,
    /// A section, known by its key.
    Section,
    /// A criterion, known by its key, wherever it stands.
    Criterion,
}

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What became of it.
    pub kind: ChangeKind,
    /// What it is.
    pub subject: Subject,
    /// Its key; none of the scorecard as a whole.
    pub key: Option<String>,
    /// Its fields that differ; of something new or gone all that are not empty.
    pub fields: Vec<ChangedField>,
}

/// A field with its two values.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedField {
    /// Its path, for example `answer.choices[polite].score`. `section` of a criterion is the section that it stands in; `order` is the order of the
    /// keys that are there in both.
    pub field: String,
    /// What it was; none where it was not there.
    pub from: Option<Value>,
    /// What it is; none where it is not there.
    pub to: Option<Value>,
}

/// What makes `to` out of `from`: the whole first, then sections and criteria in the order of `to`, and last what is gone.
pub fn diff(from: &Definition, to: &Definition) -> Vec<Change> {
    let mut changes = Vec::new();
    let whole = |definition: &Definition| {
        let mut fields = Fields::default();
        fields.all(&definition_fields(definition));
        fields
    };
    let mut fields = whole(from).against(&whole(to));
    fields.extend(order(keys(&from.sections, |s| &s.key), keys(&to.sections, |s| &s.key)));
    changed(&mut changes, Subject::Scorecard, None, fields);

    let old: HashMap<&str, &Section> = from.sections.iter().map(|s| (s.key.as_str(), s)).collect();
    let new: HashMap<&str, &Section> = to.sections.iter().map(|s| (s.key.as_str(), s)).collect();
    for section in &to.sections {
        match old.get(section.key.as_str()) {
            None => changes.push(one(ChangeKind::Added, Subject::Section, &section.key, section_fields(section), true)),
            Some(before) => {
                let mut fields = section_fields(before).against(&section_fields(section));
                fields.extend(order(keys(&before.criteria, |c| &c.key), keys(&section.criteria, |c| &c.key)));
                changed(&mut changes, Subject::Section, Some(&section.key), fields);
            }
        }
    }
    let (old_criteria, new_criteria) = (placed(from), placed(to));
    for (section, criterion) in to.sections.iter().flat_map(|s| s.criteria.iter().map(move |c| (s, c))) {
        let now = criterion_fields(section, criterion);
        match old_criteria.get(criterion.key.as_str()) {
            None => changes.push(one(ChangeKind::Added, Subject::Criterion, &criterion.key, now, true)),
            Some((place, before)) => {
                let fields = criterion_fields(place, before).against(&now);
                changed(&mut changes, Subject::Criterion, Some(&criterion.key), fields);
            }
        }
    }
    for section in from.sections.iter().filter(|section| !new.contains_key(section.key.as_str())) {
        changes.push(one(ChangeKind::Removed, Subject::Section, &section.key, section_fields(section), false));
    }
    for (section, criterion) in from.sections.iter().flat_map(|s| s.criteria.iter().map(move |c| (s, c))) {
        if !new_criteria.contains_key(criterion.key.as_str()) {
            let fields = criterion_fields(section, criterion);
            changes.push(one(ChangeKind::Removed, Subject::Criterion, &criterion.key, fields, false));
        }
    }
    changes
}

fn keys<'a, T>(all: &'a [T], key: impl Fn(&'a T) -> &'a String) -> Vec<&'a str> {
    all.iter().map(|one| key(one).as_str()).collect()
}

fn placed(definition: &Definition) -> HashMap<&str, (&Section, &Criterion)> {
    let all = definition.sections.iter().flat_map(|section| section.criteria.iter().map(move |c| (section, c)));
    all.map(|(section, criterion)| (criterion.key.as_str(), (section, criterion))).collect()
}

fn changed(changes: &mut Vec<Change>, subject: Subject, key: Option<&String>, fields: Vec<ChangedField>) {
    if !fields.is_empty() {
        changes.push(Change { kind: ChangeKind::Changed, subject, key: key.cloned(), fields });
    }
}

fn one(kind: ChangeKind, subject: Subject, key: &str, fields: Fields, is_new: bool) -> Change {
    let nothing = Fields::default();
    let fields = if is_new { nothing.against(&fields) } else { fields.against(&nothing) };
    Change { kind, subject, key: Some(key.to_owned()), fields }
}

/// The order of the keys that are there in both, if it differs.
fn order(from: Vec<&str>, to: Vec<&str>) -> Option<ChangedField> {
    let common = |keys: &[&str], others: &[&str]| -> Vec<String> {
        keys.iter().filter(|key| others.contains(key)).map(|key| (*key).to_owned()).collect()
    };
    let (from, to) = (common(&from, &to), common(&to, &from));
    let field =
        || ChangedField { field: "order".to_owned(), from: Some(from.clone().into()), to: Some(to.clone().into()) };
    (from != to).then(field)
}

/// Leaves of a document by their paths.
#[derive(Default)]
struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn all(&mut self, document: &Value) {
        self.leaves("", document);
    }

    fn leaves(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.leaves(&path, value);
                }
            }
            Value::Array(list) if !list.is_empty() && list.iter().all(|one| one["key"].is_string()) => {
                for one in list {
                    let key = one["key"].as_str().unwrap_or_default();
                    self.leaves(&format!("{path}[{key}]"), one);
                }
            }
            Value::Null => {}
            leaf => {
                self.0.insert(path.to_owned(), leaf.clone());
            }
        }
    }

    fn against(&self, to: &Fields) -> Vec<ChangedField> {
        let paths: std::collections::BTreeSet<&String> = self.0.keys().chain(to.0.keys()).collect();
        let differ = paths.into_iter().filter(|path| self.0.get(*path) != to.0.get(*path));
        let field = |path: &String| ChangedField {
            field: path.clone(),
            from: self.0.get(path).cloned(),
            to: to.0.get(path).cloned(),
        };
        differ.map(field).collect()
    }
}

fn without(mut document: Value, parts: &[&str]) -> Value {
    if let Some(object) = document.as_object_mut() {
        parts.iter().for_each(|part| drop(object.remove(*part)));
    }
    document
}

fn document(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default() // a definition has texts and numbers alone, which are always JSON
}

fn definition_fields(definition: &Definition) -> Value {
    without(document(definition), &["sections"])
}

fn section_fields(section: &Section) -> Fields {
    let mut fields = Fields::default();
    fields.all(&without(document(section), &["key", "criteria"]));
    fields
}

fn criterion_fields(section: &Section, criterion: &Criterion) -> Fields {
    let mut fields = Fields::default();
    fields.all(&without(document(criterion), &["key"]));
    fields.0.insert("section".to_owned(), section.key.clone().into());
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition() -> Definition {
        serde_json::from_value(json!({"name": "S", "sections": [
            {"key": "a", "name": "A", "criteria": [
                {"key": "a1", "question": "One?"},
                {"key": "a2", "question": "Two?", "answer": {"type": "single_choice", "choices": [
                    {"key": "x", "label": "X", "score": 100}, {"key": "y", "label": "Y", "score": 0}]}}]},
            {"key": "b", "name": "B", "criteria": [{"key": "b1", "question": "Three?"}]}]}))
        .unwrap()
    }

    fn told(change: impl FnOnce(&mut Definition)) -> Vec<String> {
        let mut to = definition();
        change(&mut to);
        let said = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
        let told = diff(&definition(), &to).into_iter().flat_map(|change| {
            let head = format!("{:?} {:?} {}", change.kind, change.subject, change.key.unwrap_or_default());
            let fields = change.fields.into_iter();
            fields.map(move |f| format!("{head} {}: {} > {}", f.field, said(&f.from), said(&f.to)))
        });
        told.collect()
    }

    #[test]
    fn each_field_is_told_with_both_values() {
        assert_eq!(told(|_| ()), Vec::<String>::new());
        assert_eq!(told(|d| d.pass_mark = Some(80)), ["Changed Scorecard  pass_mark: - > 80"]);
        assert_eq!(told(|d| d.sections[1].weight = 3), ["Changed Section b weight: 1 > 3"]);
        assert_eq!(
            told(|d| d.sections[0].criteria[0].question = "1?".into()),
            ["Changed Criterion a1 question: \"One?\" > \"1?\""]
        );
        assert_eq!(
            told(|d| d.sections[0].criteria[1].answer.choices[1].score = -5),
            ["Changed Criterion a2 answer.choices[y].score: 0 > -5"]
        );
    }

    #[test]
    fn what_comes_goes_and_moves_is_told() {
        assert_eq!(
            told(|d| drop(d.sections[0].criteria.remove(0))),
            [
                "Removed Criterion a1 auto_fail: \"none\" > -",
                "Removed Criterion a1 guidance: \"\" > -",
                "Removed Criterion a1 not_applicable: false > -",
                "Removed Criterion a1 question: \"One?\" > -",
                "Removed Criterion a1 section: \"a\" > -",
                "Removed Criterion a1 weight: 1 > -",
            ]
        );
        let moved = told(|d| {
            let one = d.sections[0].criteria.remove(0);
            d.sections[1].criteria.push(one);
        });
        assert_eq!(moved, ["Changed Criterion a1 section: \"a\" > \"b\""]);
        assert_eq!(told(|d| d.sections.swap(0, 1)), ["Changed Scorecard  order: [\"a\",\"b\"] > [\"b\",\"a\"]"]);
        assert_eq!(
            told(|d| d.sections[0].criteria.swap(0, 1)),
            ["Changed Section a order: [\"a1\",\"a2\"] > [\"a2\",\"a1\"]"]
        );
        let renamed = told(|d| d.sections[1].key = "c".into());
        assert!(renamed.contains(&"Added Section c name: - > \"B\"".to_owned()), "{renamed:?}");
        assert!(renamed.contains(&"Removed Section b name: \"B\" > -".to_owned()), "{renamed:?}");
        assert!(renamed.contains(&"Changed Criterion b1 section: \"b\" > \"c\"".to_owned()), "{renamed:?}");
    }
}
