//! `/problems/<slug>`: what a kind of problem means, for whoever follows its `type`.

use poem::{Endpoint, IntoResponse, Request, Response, endpoint::make_sync, http::header, web::Json};
use serde_json::json;

use crate::platform::http::{Kind, Refusal};

pub(super) fn page() -> impl Endpoint<Output = Response> {
    make_sync(|request: Request| {
        let Some(kind) = request.raw_path_param("slug").and_then(Kind::by_slug) else {
            return Refusal::not_found("kind of problem").response();
        };
        let wants_page = request.header(header::ACCEPT).is_some_and(|accept| accept.contains("text/html"));
        if wants_page { html(kind) } else { json(kind) }
    })
}

fn json(kind: Kind) -> Response {
    Json(json!({
        "type": kind.uri(),
        "status": kind.status().as_u16(),
        "title": kind.title(),
        "meaning": kind.meaning(),
    }))
    .into_response()
}

/// All of it comes from [`Kind`]; nothing that anybody sent.
fn html(kind: Kind) -> Response {
    let (title, status, meaning) = (escaped(kind.title()), kind.status().as_u16(), escaped(kind.meaning()));
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\
         <body><h1>{title}</h1><p>Status {status}, type <code>{}</code></p><p>{meaning}</p></body></html>",
        kind.uri()
    );
    Response::builder().content_type("text/html; charset=utf-8").body(page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
