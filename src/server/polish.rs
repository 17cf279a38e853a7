//! What poem-openapi cannot say, said by editing the document that it emits. Deterministic: the same document in, the same out.

use poem::http::StatusCode;
use serde_json::{Map, Value, json};

/// The only kind of scheme whose requirements may list scopes.
const SCOPED: [&str; 2] = ["oauth2", "openIdConnect"];

/// Polishes an OpenAPI 3.0 document; text that is no JSON object becomes an empty one.
pub fn polish(raw: &str) -> Value {
    let mut document: Value = serde_json::from_str(raw).unwrap_or_else(|_| json!({}));
    document["openapi"] = json!("3.0.3");
    let scoped = scoped_schemes(&document);
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for operations in paths.values_mut().filter_map(Value::as_object_mut) {
            operations
                .values_mut()
                .filter_map(Value::as_object_mut)
                .for_each(|operation| polish_operation(operation, &scoped));
        }
        paths.sort_keys();
    }
    walk(&mut document);
    close_requests(&mut document);
    document
}

fn scoped_schemes(document: &Value) -> Vec<String> {
    let schemes = document.pointer("/components/securitySchemes").and_then(Value::as_object).into_iter().flatten();
    let scoped = schemes.filter(|(_, scheme)| scheme["type"].as_str().is_some_and(|kind| SCOPED.contains(&kind)));
    scoped.map(|(name, _)| name.clone()).collect()
}

fn polish_operation(operation: &mut Map<String, Value>, scoped: &[String]) {
    match operation.get_mut("security").and_then(Value::as_array_mut) {
        Some(requirements) => {
            for requirement in requirements.iter_mut().filter_map(Value::as_object_mut) {
                requirement
                    .iter_mut()
                    .filter(|(name, _)| !scoped.contains(name))
                    .for_each(|(_, scopes)| *scopes = json!([]));
            }
        }
        None => {
            operation.insert("security".to_owned(), json!([]));
        }
    }
    if !operation.contains_key("description")
        && let Some(summary) = operation.get("summary").cloned()
    {
        operation.insert("description".to_owned(), summary);
    }
    query_of_bare_uploads(operation);
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        polish_parameter(parameter);
    }
    for (code, response) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
        polish_response(code, response);
    }
}

fn polish_parameter(parameter: &mut Value) {
    // the server answers 428 and not 400 when it is absent, but it is needed all the same
    if parameter["name"] == "If-Match" {
        parameter["required"] = json!(true);
    }
    if let Some(parameter) = parameter.as_object_mut() {
        parameter.remove("explode");
        let described = parameter.get("schema").and_then(|schema| schema.get("description")).cloned();
        if !parameter.contains_key("description")
            && let Some(description) = described
        {
            parameter.insert("description".to_owned(), description);
        }
    }
}

fn polish_response(code: &str, response: &mut Value) {
    if response["description"].as_str().is_none_or(str::is_empty) {
        let status = code.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
        response["description"] = json!(status.and_then(|status| status.canonical_reason()).unwrap_or("The answer"));
    }
    let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut) else {
        return;
    };
    let named = std::mem::take(headers).into_iter().filter(|(name, _)| name != "CONTENT-TYPE"); // said by `content`
    *headers = named.map(|(name, header)| (title_case(&name), header)).collect();
}

/// `RETRY-AFTER` → `Retry-After`, and the two that are spelt in their own way.
fn title_case(name: &str) -> String {
    match name {
        "ETAG" => return "ETag".to_owned(),
        "WWW-AUTHENTICATE" => return "WWW-Authenticate".to_owned(),
        _ => {}
    }
    let word = |word: &str| {
        let (first, rest) = word.split_at(usize::from(word.is_char_boundary(1)));
        format!("{first}{}", rest.to_lowercase())
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// A bare file carries in the query what a form carries in its fields ([`crate::platform::http::upload`]).
fn query_of_bare_uploads(operation: &mut Map<String, Value>) {
    let content = operation.get("requestBody").and_then(|body| body.get("content"));
    let Some(content) = content.filter(|content| content.get("application/octet-stream").is_some()) else {
        return;
    };
    let form = content.pointer("/multipart~1form-data/schema/properties").and_then(Value::as_object);
    let query: Vec<Value> = form
        .into_iter()
        .flatten()
        .filter(|(_, schema)| schema["format"] != "binary")
        .map(|(name, schema)| {
            let said = schema["description"].as_str().unwrap_or("Like the form's field.");
            json!({
                "name": name, "in": "query", "required": false, "deprecated": false, "schema": schema,
                "description": format!("{said} For `application/octet-stream` alone."),
            })
        })
        .collect();
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.extend(query);
    }
    if let Some(form) =
        operation.get_mut("requestBody").and_then(|body| body.pointer_mut("/content/multipart~1form-data/schema"))
    {
        form["additionalProperties"] = json!(false);
    }
}

/// Everywhere: media types without parameters, and bounds of integers as integers.
fn walk(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(content) = object.remove("application/json; charset=utf-8") {
                object.insert("application/json".to_owned(), content);
            }
            if object.get("type").is_some_and(|kind| kind == "integer") {
                for bound in ["minimum", "maximum", "multipleOf", "default"] {
                    whole(object.get_mut(bound));
                }
            }
            object.values_mut().for_each(walk);
        }
        Value::Array(array) => array.iter_mut().for_each(walk),
        _ => {}
    }
}

fn whole(number: Option<&mut Value>) {
    if let Some(number) = number
        && let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15)
    {
        *number = json!(float as i64);
    }
}

/// Objects that are sent refuse unknown fields, so their schemas say so: those that request bodies reach and no answer does.
fn close_requests(document: &mut Value) {
    let schemas = document.pointer("/components/schemas").cloned().unwrap_or_default();
    let (mut sent, mut answered) = (Vec::new(), Vec::new());
    let operations =
        document["paths"].as_object().into_iter().flatten().filter_map(|(_, path)| path.as_object()).flatten();
    for (_, operation) in operations {
        references(&operation["requestBody"], &schemas, &mut sent);
        references(&operation["responses"], &schemas, &mut answered);
    }
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, schema) in schemas.iter_mut() {
        let closes = sent.contains(name) && !answered.contains(name) && schema.get("properties").is_some();
        if closes && schema.get("additionalProperties").is_none() {
            schema["additionalProperties"] = json!(false);
        }
    }
}

fn references(value: &Value, schemas: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let name = object.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/components/schemas/"));
            if let Some(name) = name
                && !found.iter().any(|known| known == name)
            {
                found.push(name.to_owned());
                references(&schemas[name], schemas, found);
            }
            object.values().for_each(|value| references(value, schemas, found));
        }
        Value::Array(array) => array.iter().for_each(|value| references(value, schemas, found)),
        _ => {}
    }
}
