//! The server that is asked.

use std::{path::Path, time::Duration};

use reqwest::{Body, Client, Method, RequestBuilder, Url, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::commands::Failure;

/// How long an answer may take: a validation compiles and runs the component.
const PATIENCE: Duration = Duration::from_secs(300);
/// How much of an answer that is no problem is told.
const TOLD_CHARACTERS: usize = 200;
/// Shorter beginnings of a digest are names.
const SHORTEST_BEGINNING: usize = 6;

/// A server and who asks it.
pub struct Server {
    http: Client,
    base: Url,
    token: SecretString,
}

fn said(what: impl Into<String>) -> Failure {
    Failure::Said(what.into())
}

/// An id, before it becomes a part of a path.
pub fn id(text: &str) -> Result<Uuid, Failure> {
    text.parse().map_err(|_| said(format!("{text} is no id")))
}

impl Server {
    /// Of PLUMBLINE_URL and PLUMBLINE_TOKEN.
    pub fn of_environment() -> Result<Self, Failure> {
        let variable = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| said(format!("{name} is needed")))
        };
        let mut base = variable("PLUMBLINE_URL")?;
        if !base.ends_with('/') {
            base.push('/');
        }
        let base: Url = base.parse().map_err(|_| said("PLUMBLINE_URL is no address"))?;
        let token = SecretString::from(variable("PLUMBLINE_TOKEN")?);
        // A redirect would carry the token to who knows whom.
        let http = Client::builder()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("plumbline/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| said("TLS could not be set up on this machine"))?;
        Ok(Self { http, base, token })
    }

    /// What the server has there.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.request(Method::GET, path)?).await
    }

    /// What the server makes of it.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.answer(self.request(Method::POST, path)?.json(body)).await
    }

    /// All pages of a list as one.
    pub async fn pages(&self, path: &str) -> Result<Value, Failure> {
        let (mut items, mut page) = (vec![], self.get(path).await?);
        loop {
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            let Some(cursor) = page["next_cursor"].as_str() else { return Ok(json!({ "items": items })) };
            page = self.get(&format!("{path}&cursor={cursor}")).await?;
        }
    }

    /// Uploads a component.
    pub async fn upload(&self, file: &Path) -> Result<Value, Failure> {
        let unreadable = |error: std::io::Error| said(format!("{} cannot be read: {error}", file.display()));
        let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let bytes = opened.metadata().await.map_err(unreadable)?.len();
        let request = self
            .request(Method::POST, "api/plugins")?
            .header("content-type", "application/octet-stream")
            .header("content-length", bytes)
            .body(Body::wrap_stream(ReaderStream::new(opened)));
        self.answer(request).await
    }

    /// Lets an organization use a version.
    pub async fn bind(&self, digest: &str, organization: &str, mut how: Value) -> Result<Value, Failure> {
        how["digest"] = json!(digest);
        how["organization_id"] = json!(self.organization(organization).await?);
        self.post("api/plugin-bindings", &how).await
    }

    /// An organization by its slug or id.
    pub async fn organization(&self, named: &str) -> Result<Uuid, Failure> {
        if let Ok(id) = named.parse() {
            return Ok(id);
        }
        let all = self.pages("api/organizations?limit=200").await?;
        let found = all["items"].as_array().into_iter().flatten().find(|one| one["slug"] == named);
        let id = found.and_then(|one| one["organization_id"].as_str()?.parse().ok());
        id.ok_or_else(|| said(format!("there is no organization {named}")))
    }

    /// A version by its digest, the beginning of one, or its name and version.
    pub async fn digest(&self, named: &str) -> Result<String, Failure> {
        let hexadecimal = named.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hexadecimal && named.len() == 64 {
            return Ok(named.to_owned());
        }
        let all = self.pages("api/plugins?limit=200").await?;
        let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
        let is_named = |one: &Value| {
            format!("{}@{}", text(one, "name"), text(one, "version")) == named
                || (hexadecimal && named.len() >= SHORTEST_BEGINNING && text(one, "digest").starts_with(named))
        };
        let found: Vec<_> = all["items"].as_array().into_iter().flatten().filter(|one| is_named(one)).collect();
        match found.as_slice() {
            [one] => Ok(text(one, "digest")),
            [] => Err(said(format!("there is no plugin {named}"))),
            several => Err(said(format!("{} plugins are called {named}; name one by its digest", several.len()))),
        }
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let url = self.base.join(path).map_err(|_| said(format!("{path} is no path")))?;
        Ok(self.http.request(method, url).bearer_auth(self.token.expose_secret()))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let unreachable = |error: reqwest::Error| {
            said(format!("{} cannot be asked: {}", self.base.origin().ascii_serialization(), reason(&error)))
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.text().await.map_err(unreachable)?;
        match (status.is_success(), serde_json::from_str::<Value>(&body)) {
            (true, Ok(answer)) => Ok(answer),
            (false, Ok(problem)) if problem["title"].is_string() => Err(said(one_line(&problem))),
            _ => {
                let told: String = body.chars().filter(|c| !c.is_control()).take(TOLD_CHARACTERS).collect();
                Err(said(format!("the server answered {status}, which is no answer of Plumbline: {told}")))
            }
        }
    }
}

/// The innermost cause: the outer ones say no more than that a request failed.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// A problem as one line: what it is, what happened, and what is wrong with which field.
fn one_line(problem: &Value) -> String {
    let mut line = format!("{} ({})", problem["title"].as_str().unwrap_or_default(), problem["status"]);
    if let Some(detail) = problem["detail"].as_str() {
        line.push_str(": ");
        line.push_str(detail);
    }
    for wrong in problem["errors"].as_array().into_iter().flatten() {
        let text = |field: &str| wrong[field].as_str().unwrap_or_default();
        line.push_str(&format!("; {}: {}", text("field"), text("message")));
    }
    line.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line() {
        let problem = json!({
            "title": "The plugin does not take these settings", "status": 422, "detail": "two\nlines",
            "errors": [{"field": "settings.words", "message": "0 is less than the minimum of 1"}]
        });
        assert_eq!(
            one_line(&problem),
            "The plugin does not take these settings (422): two lines; settings.words: 0 is less than the minimum of 1"
        );
        assert_eq!(one_line(&json!({"title": "Not found", "status": 404})), "Not found (404)");
    }
}
