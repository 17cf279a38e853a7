//! Swagger UI from the binary: usable offline, with a token pasted in.

use poem::{
    IntoEndpoint, Request, Response, Route,
    endpoint::make_sync,
    get,
    http::{StatusCode, header},
};
use rust_embed::RustEmbed;

use crate::platform::http::Refusal;

#[derive(RustEmbed)]
#[folder = "web/swagger-ui/"]
struct Files;

/// Scripts and requests from here alone. Styles may be inline, because Swagger UI sets them on elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// To be nested under `/docs`. `/docs` itself is sent on to `/docs/`, where relative names work.
pub(super) fn ui() -> impl IntoEndpoint {
    Route::new().at("/", get(make_sync(index))).at("/:file", get(make_sync(file)))
}

fn index(request: Request) -> Response {
    if request.original_uri().path().ends_with('/') {
        return send("index.html");
    }
    Response::builder().status(StatusCode::PERMANENT_REDIRECT).header(header::LOCATION, "/docs/").finish()
}

fn file(request: Request) -> Response {
    send(request.raw_path_param("file").unwrap_or_default())
}

fn send(name: &str) -> Response {
    let Some(file) = Files::get(name) else {
        return Refusal::not_found("file").response();
    };
    Response::builder()
        .content_type(file.metadata.mimetype())
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::CACHE_CONTROL, "no-cache")
        .body(file.data.into_owned())
}
