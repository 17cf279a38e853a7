//! One log line per request: what was asked by its route, never by its path or query, which may name people.

use std::time::Instant;

use poem::{Endpoint, IntoResponse, Middleware, PathPattern, Request, Response, Result};
use tracing::{Instrument, field::Empty};

use crate::platform::http::request_id;

/// The span of a request; whoever proves the caller records `tenant` into it by [`crate::platform::http::record_tenant`].
pub(super) struct Log;

/// [`Log`] around an endpoint.
pub(super) struct Logged<E>(E);

impl<E: Endpoint> Middleware<E> for Log {
    type Output = Logged<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Logged(inner)
    }
}

impl<E: Endpoint> Endpoint for Logged<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let request_id = request_id::current().unwrap_or_default();
        let span = tracing::info_span!("request", request_id, method = %request.method(), tenant = Empty);
        async {
            let started = Instant::now();
            let response = match self.0.call(request).await {
                Ok(output) => output.into_response(),
                Err(error) => error.into_response(),
            };
            let route = response.data::<PathPattern>().map_or("-", |pattern| pattern.0.as_ref());
            let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let status = response.status().as_u16();
            if matches!(route, "/healthz" | "/readyz") {
                tracing::debug!(route, status, elapsed_ms, "answered");
            } else {
                tracing::info!(route, status, elapsed_ms, "answered");
            }
            Ok(response)
        }
        .instrument(span)
        .await
    }
}
