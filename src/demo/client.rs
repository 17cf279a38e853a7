//! The demo speaks to Plumbline as everybody else does: through its public API.

use reqwest::{Client, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use url::Url;

use super::DemoError;

/// A caller of the API with a token.
#[derive(Clone)]
pub struct ApiClient {
    http: Client,
    base: Url,
    token: String,
}

impl ApiClient {
    /// # Errors
    /// When the machine gives no HTTP client.
    pub fn new(base: Url, token: String) -> Result<Self, DemoError> {
        Ok(Self { http: Client::builder().build()?, base, token })
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A JSON document.
    ///
    /// # Errors
    /// [`DemoError::Refused`] with the problem's own words.
    pub async fn get(&self, path: &str) -> Result<Value, DemoError> {
        self.send(self.http.get(self.url(path))).await
    }

    /// The status alone: how the API answers somebody who should not see.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn status(&self, path: &str) -> Result<StatusCode, DemoError> {
        Ok(self.http.get(self.url(path)).bearer_auth(&self.token).send().await?.status())
    }

    /// Creates something.
    ///
    /// # Errors
    /// As [`ApiClient::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, DemoError> {
        self.send(self.http.post(self.url(path)).json(body)).await
    }

    /// Publishes a scorecard with this definition.
    ///
    /// # Errors
    /// As [`ApiClient::get`].
    pub async fn publish(&self, organization_id: &str, definition: &Value) -> Result<(), DemoError> {
        let body = json!({ "organization_id": organization_id, "definition": definition });
        let scorecard = self.post("/api/evaluation-criteria", &body).await?;
        let id = text(&scorecard, "scorecard_id")?;
        self.send(self.http.post(self.url(&format!("/api/evaluation-criteria/{id}/publish")))).await?;
        Ok(())
    }

    /// Says which user an agent signs in as.
    ///
    /// # Errors
    /// As [`ApiClient::get`].
    pub async fn link(&self, agent_id: &str, user_id: &str) -> Result<(), DemoError> {
        let path = format!("/api/agents/{agent_id}");
        let body = json!({ "user_id": user_id });
        let request = self.http.patch(self.url(&path)).header(header::IF_MATCH, "*").json(&body);
        self.send(request).await?;
        Ok(())
    }

    /// Uploads a recording as raw bytes; `fields` go into the query.
    ///
    /// # Errors
    /// As [`ApiClient::get`].
    pub async fn upload(&self, fields: &[(&str, &str)], bytes: Vec<u8>) -> Result<Value, DemoError> {
        let request = self
            .http
            .post(self.url("/api/calls"))
            .query(fields)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(bytes);
        self.send(request).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, DemoError> {
        let answer = request.bearer_auth(&self.token).send().await?;
        let (status, path) = (answer.status(), answer.url().path().to_owned());
        let body = answer.text().await?;
        if !status.is_success() {
            return Err(DemoError::Refused { path, status, problem: body });
        }
        serde_json::from_str(&body).map_err(|_| DemoError::Unexpected("the answer is not JSON"))
    }
}

/// A text field of an answer.
///
/// # Errors
/// [`DemoError::Unexpected`] when it is missing.
pub fn text(answer: &Value, field: &'static str) -> Result<String, DemoError> {
    answer[field].as_str().map(str::to_owned).ok_or(DemoError::Unexpected(field))
}
