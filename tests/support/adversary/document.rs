//! The operations of the OpenAPI document, in the form from which requests are made.

use reqwest::Method;
use serde_json::Value;

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Path,
    Query,
    Header,
}

/// A parameter of an operation.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub place: Place,
    pub name: String,
    pub required: bool,
    pub schema: Value,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    pub parameters: Vec<Parameter>,
    /// Media type and schema of each body that it takes.
    pub bodies: Vec<(String, Value)>,
    /// Whether it asks for no token.
    pub open: bool,
}

/// The whole document.
pub struct Document {
    pub operations: Vec<Operation>,
    whole: Value,
}

impl Document {
    pub fn new(whole: Value) -> Self {
        let mut operations = vec![];
        for (path, item) in whole["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let Some(id) = operation["operationId"].as_str() else { continue };
                operations.push(Operation {
                    id: id.to_owned(),
                    method: method.to_uppercase().parse().unwrap(),
                    path: path.clone(),
                    parameters: operation["parameters"].as_array().into_iter().flatten().map(parameter).collect(),
                    bodies: bodies(operation),
                    open: operation["security"].as_array().is_none_or(Vec::is_empty),
                });
            }
        }
        Self { operations, whole }
    }

    /// The schema behind references.
    pub fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let by_name = |reference: &Value| -> Option<&'a Value> {
            self.whole.pointer(reference.as_str()?.strip_prefix('#')?).filter(|found| !found.is_null())
        };
        match by_name(&schema["$ref"]).or_else(|| by_name(&schema["allOf"][0]["$ref"])) {
            Some(found) => self.resolved(found),
            None => schema,
        }
    }
}

fn parameter(text: &Value) -> Parameter {
    let place = match text["in"].as_str().unwrap() {
        "path" => Place::Path,
        "query" => Place::Query,
        "header" => Place::Header,
        other => panic!("parameters in {other} are new to the adversary"),
    };
    Parameter {
        place,
        name: text["name"].as_str().unwrap().to_owned(),
        required: text["required"].as_bool().unwrap_or(false),
        schema: text["schema"].clone(),
    }
}

fn bodies(operation: &Value) -> Vec<(String, Value)> {
    let content = operation["requestBody"]["content"].as_object().into_iter().flatten();
    content.map(|(media, body)| (media.clone(), body["schema"].clone())).collect()
}

impl Operation {
    /// Whether it takes anything that a caller chooses.
    pub fn takes_anything(&self) -> bool {
        !self.parameters.is_empty() || !self.bodies.is_empty()
    }

    /// Whether a concrete path is one of this operation's.
    pub fn is_at(&self, method: &Method, path: &str) -> bool {
        let (here, there): (Vec<_>, Vec<_>) = (self.path.split('/').collect(), path.split('/').collect());
        self.method == *method
            && here.len() == there.len()
            && here.iter().zip(&there).all(|(here, there)| here.starts_with('{') || here == there)
    }
}
