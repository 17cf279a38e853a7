//! 405 must say which methods there are (RFC 9110); poem does not, the document knows.

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response, Result, http::HeaderValue, http::StatusCode, http::header,
};
use serde_json::Value;

use crate::platform::http::refuse;

/// Adds `Allow` to answers 405.
#[derive(Clone)]
pub(super) struct AllowHeader(Arc<Vec<Allowed>>);

struct Allowed {
    path: Vec<String>,
    methods: HeaderValue,
}

/// Methods of the paths that are in no document.
const OWN: HeaderValue = HeaderValue::from_static("GET, HEAD");

impl AllowHeader {
    pub(super) fn of(document: &Value) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        let allowed = paths.filter_map(|(path, operations)| {
            let mut methods: Vec<String> = operations.as_object()?.keys().map(|method| method.to_uppercase()).collect();
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".to_owned());
            }
            let methods = HeaderValue::from_str(&methods.join(", ")).ok()?;
            Some(Allowed { path: path.split('/').map(str::to_owned).collect(), methods })
        });
        Self(Arc::new(allowed.collect()))
    }

    /// A path whose parts are all literal is meant before one with a parameter in the same place.
    fn methods(&self, path: &str) -> HeaderValue {
        let path: Vec<&str> = path.split('/').collect();
        let fits = |allowed: &&Allowed| {
            allowed.path.len() == path.len()
                && allowed.path.iter().zip(&path).all(|(known, part)| known.starts_with('{') || known == part)
        };
        let parameters = |allowed: &&Allowed| allowed.path.iter().filter(|part| part.starts_with('{')).count();
        self.0.iter().filter(fits).min_by_key(parameters).map_or(OWN, |allowed| allowed.methods.clone())
    }
}

/// [`AllowHeader`] around an endpoint.
pub(super) struct WithAllow<E> {
    inner: E,
    allow: AllowHeader,
}

impl<E: Endpoint> Middleware<E> for AllowHeader {
    type Output = WithAllow<E>;

    fn transform(&self, inner: E) -> Self::Output {
        WithAllow { inner, allow: self.clone() }
    }
}

impl<E: Endpoint> Endpoint for WithAllow<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let path = request.original_uri().path().to_owned();
        let mut response = match self.inner.call(request).await {
            Ok(output) => output.into_response(),
            Err(error) if error.status() == StatusCode::METHOD_NOT_ALLOWED => refuse::answer(error).await,
            Err(error) => return Err(error),
        };
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, self.allow.methods(&path));
        }
        Ok(response)
    }
}
