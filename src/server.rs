//! The HTTP server: the API with its document, Swagger UI, health, and what every request passes through.
//!
//! A request's way, from the outside: its id, its log line, security headers, panics, errors made problems, `Allow`, the body's limit, the route.

mod allow;
mod health;
mod log;
mod polish;
mod problems;
mod swagger;

use poem::{
    EndpointExt, Request, Response, Route,
    endpoint::{BoxEndpoint, make_sync},
    http::{HeaderValue, header},
    middleware::CatchPanic,
};
use poem_openapi::{ContactObject, LicenseObject, OpenApi, OpenApiService};
use serde_json::Value;

use self::{allow::AllowHeader, log::Log};
pub use self::{health::Readiness, polish::polish};
use crate::platform::http::{BodyLimit, Refusal, refuse, request_id::RequestId};

const TITLE: &str = "Plumbline";
const DESCRIPTION: &str = "\
Call recordings and written conversations become scores that anybody can re-compute.

**Credentials.** Send `Authorization: Bearer <token>` with a JWT of your tenant's issuer. What you may not know of is 404.

**Refusals** are problem details (RFC 9457). `type` is stable and made for programs; `GET` it for an explanation. `instance` is the request's id.

**Lists** come in pages, newest first: send `next_cursor` back as `cursor`, with the same filters.

**Creating** takes an `Idempotency-Key`: the same request with the same key is answered as the first time, for 24 hours. \
**Editing** takes `If-Match` with the `ETag` of what was read.";

/// The API's document, as it is served and as `plumbline openapi` prints it: the same for the same code.
pub fn document(apis: impl OpenApi + 'static) -> Value {
    polish(&described(apis).spec())
}

/// The whole server. `ready` is asked for `/readyz`.
pub fn service(apis: impl OpenApi + 'static, limit: BodyLimit, ready: Readiness) -> BoxEndpoint<'static, Response> {
    let api = described(apis);
    let document = polish(&api.spec());
    let allow = AllowHeader::of(&document);
    let text = bytes::Bytes::from(document.to_string());
    let json = make_sync(move |_| {
        Response::builder()
            .content_type("application/json")
            .header(header::CACHE_CONTROL, "no-cache")
            .body(text.clone())
    });
    Route::new()
        .at("/openapi.json", poem::get(json))
        .at("/healthz", poem::get(health::alive()))
        .at("/readyz", poem::get(health::ready(ready)))
        .at("/problems/:slug", poem::get(problems::page()))
        .nest("/docs", swagger::ui())
        .nest("/", api)
        .with(limit)
        .before(readable)
        .with(allow)
        .catch_all_error(refuse::answer)
        .with(CatchPanic::new().with_handler(refuse::panicked))
        .map_to_response()
        .map(secured)
        .with(Log)
        .with(RequestId)
        .boxed()
}

fn described<T: OpenApi>(apis: T) -> OpenApiService<T, ()> {
    OpenApiService::new(apis, TITLE, env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
        .contact(ContactObject::new().name("Plumbline"))
        .server("/")
}

/// A header on which the safety of a change hangs must not be passed over because it cannot be read.
async fn readable(request: Request) -> poem::Result<Request> {
    for name in ["idempotency-key", "if-match"] {
        if request.headers().get_all(name).iter().any(|value| value.to_str().is_err()) {
            return Err(Refusal::invalid(name, "must be printable ASCII").into());
        }
    }
    Ok(request)
}

/// What no answer goes without. A page may tighten its own Content-Security-Policy before it comes here; it is not loosened.
async fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut default = |name, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::X_FRAME_OPTIONS, "DENY");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    default(header::CACHE_CONTROL, "no-store");
    response
}

#[cfg(test)]
mod tests;
