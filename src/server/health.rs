//! `/healthz`: the process answers. `/readyz`: it can work.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use poem::{Endpoint, IntoResponse, Response, endpoint::make, http::StatusCode, web::Json};
use serde_json::json;

/// Whether the server can work: the database answers and is migrated. Gives the reason when not, for the log; callers see only that it is not.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>);

impl Readiness {
    /// Asks `check` whenever somebody wants to know.
    pub fn new<F, R>(check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(check())))
    }

    /// Always ready: a server without a database, in tests.
    pub fn always() -> Self {
        Self::new(async || Ok(()))
    }
}

pub(super) fn alive() -> impl Endpoint<Output = Response> {
    make(async |_| Ok::<_, poem::Error>(Json(json!({"status": "alive"})).into_response()))
}

pub(super) fn ready(readiness: Readiness) -> impl Endpoint<Output = Response> {
    make(move |_| {
        let check = (readiness.0)();
        async move {
            let answer = match check.await {
                Ok(()) => Json(json!({"status": "ready"})).into_response(),
                Err(reason) => {
                    tracing::warn!(reason, "not ready");
                    Json(json!({"status": "not ready"})).with_status(StatusCode::SERVICE_UNAVAILABLE).into_response()
                }
            };
            Ok::<_, poem::Error>(answer)
        }
    })
}
