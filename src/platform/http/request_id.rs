//! The id that ties a request's answer, its log lines and its audit events together.

use poem::{Endpoint, IntoResponse, Middleware, Request, Response, Result, http::HeaderValue};

use crate::foundation::ids::{JobId, TenantId};

/// The header that carries the id, both ways.
pub const HEADER: &str = "x-request-id";

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task answers; `None` outside of one.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Gives every request an id: the one it came with, if that is sane, else a fresh one. The answer carries it as well.
pub struct RequestId;

/// [`RequestId`] around an endpoint.
pub struct WithRequestId<E>(E);

impl<E: Endpoint> Middleware<E> for RequestId {
    type Output = WithRequestId<E>;

    fn transform(&self, inner: E) -> Self::Output {
        WithRequestId(inner)
    }
}

impl<E: Endpoint> Endpoint for WithRequestId<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let id = match request.header(HEADER) {
            Some(given) if is_sane(given) => given.to_owned(),
            _ => fresh(),
        };
        let header = HeaderValue::from_str(&id);
        let mut response = match CURRENT.scope(id, self.0.call(request)).await {
            Ok(output) => output.into_response(),
            Err(error) => error.into_response(),
        };
        if let Ok(header) = header {
            response.headers_mut().insert(HEADER, header);
        }
        Ok(response)
    }
}

/// Names the tenant in the request's log lines; whoever proves the caller calls it.
pub fn record_tenant(tenant: TenantId) {
    tracing::Span::current().record("tenant", tracing::field::display(tenant));
}

/// Runs `work` as if it answered the request with this id.
pub async fn scope<F: Future>(id: String, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// Short, and of characters that can pose as nothing else in a log line, a header or a URI.
fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn fresh() -> String {
    JobId::new().0.simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_ids_are_taken_over() {
        assert!(is_sane("0198c6d2-7a4e.A_b"));
        for bad in ["", "a b", "a\"b", "a:b", "é", &"x".repeat(65)] {
            assert!(!is_sane(bad), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn the_id_is_known_inside_and_only_there() {
        assert_eq!(scope("r-1".to_owned(), async { current() }).await.as_deref(), Some("r-1"));
        assert_eq!(current(), None);
    }
}
