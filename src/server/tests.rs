//! The whole server around a small API of its own, over a real socket where the wire matters.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use poem::{Server, listener::TcpAcceptor};
use poem_openapi::{
    Enum, Object,
    param::{Header, Path, Query},
    payload::Json,
};
use reqwest::{RequestBuilder, redirect::Policy};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{
    foundation::ids::AgentId,
    platform::http::{
        Created, Cursor, ETag, FileAnswer, Fresh, IdempotencyKey, IfMatch, IfNoneMatch, Limit, Listing, Measured, Page,
        Position, Refusal, SentFile, Tagged, Upload, range,
    },
};

struct Things;

#[derive(Object, serde::Serialize)]
struct Thing {
    name: String,
    /// How big it is.
    #[oai(validator(minimum(value = "1"), maximum(value = "9")))]
    size: i32,
}

#[derive(Object)]
#[oai(deny_unknown_fields)]
struct NewThing {
    #[oai(validator(max_length = 3000, min_length = 1))]
    name: String,
}

#[derive(Enum)]
#[oai(rename_all = "snake_case")]
enum Side {
    Left,
    Right,
}

/// What is said about a file.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct Fields {
    /// Whose it is.
    owner_id: AgentId,
    side: Option<Side>,
    channel: Option<i32>,
}

const LIMIT: BodyLimit = BodyLimit { document_bytes: 1000, upload_bytes: 100_000, archive_bytes: 100_000 };

#[OpenApi(prefix_path = "/api/things")]
impl Things {
    /// List things
    #[oai(path = "/", method = "get", operation_id = "list_things")]
    async fn list_things(&self, limit: Query<Limit>, cursor: Query<Cursor>) -> Result<Json<Page<Thing>>, Refusal> {
        let listing = Listing::new("list_things", &(), limit.0, &cursor.0)?;
        let rows: Vec<i32> = (1..=3).collect();
        let position = |row: &i32| Position::new(chrono::DateTime::UNIX_EPOCH, Uuid::from_u128(*row as u128));
        Ok(Json(listing.page(rows, position, |size| Thing { name: "x".to_owned(), size })))
    }

    /// Create a thing
    #[oai(path = "/", method = "post", operation_id = "create_thing")]
    async fn create_thing(
        &self,
        #[oai(name = "Idempotency-Key")] key: Header<IdempotencyKey>,
        new: Json<NewThing>,
    ) -> Result<Created<Thing>, Refusal> {
        let _ = key.0.request("create_thing").with(&new.0);
        let thing = Thing { name: new.0.name, size: 1 };
        Ok(Created::of(false, "/api/things/1".to_owned(), ETag::of(Uuid::nil(), 1), thing))
    }

    /// Get a thing
    #[oai(path = "/:thing_id", method = "get", operation_id = "get_thing")]
    async fn get_thing(
        &self,
        thing_id: Path<AgentId>,
        #[oai(name = "If-None-Match")] known: Header<IfNoneMatch>,
    ) -> Result<Fresh<Thing>, Refusal> {
        Ok(known.0.answer(ETag::of(thing_id.0.0, 1), || Thing { name: "x".to_owned(), size: 1 }))
    }

    /// Change a thing
    #[oai(path = "/:thing_id", method = "patch", operation_id = "update_thing")]
    async fn update_thing(
        &self,
        thing_id: Path<AgentId>,
        #[oai(name = "If-Match")] expected: Header<IfMatch>,
        change: Json<NewThing>,
    ) -> Result<Tagged<Thing>, Refusal> {
        expected.0.allows(&ETag::of(thing_id.0.0, 1))?;
        Ok(Tagged::of(ETag::of(thing_id.0.0, 2), Thing { name: change.0.name, size: 1 }))
    }

    /// Break
    #[oai(path = "/panic", method = "post", operation_id = "panic")]
    async fn panic(&self) -> Result<Json<Thing>, Refusal> {
        panic!("a secret")
    }

    /// Upload
    #[oai(path = "/upload", method = "post", operation_id = "upload_thing")]
    async fn upload_thing(&self, upload: Upload<NewThing, Fields>) -> Result<Json<Value>, Refusal> {
        let SentFile { fields, bytes, content_type, file_name } = match upload {
            Upload::Document(thing) => return Ok(Json(json!({"name": thing.name}))),
            Upload::File(file) => file,
        };
        let mut audio = Measured::new(bytes, 50_000);
        let head = audio.head().await?;
        while audio.try_next().await?.is_some() {}
        let measure = audio.measure();
        Ok(Json(json!({
            "owner_id": fields.owner_id.to_string(), "right": matches!(fields.side, Some(Side::Right)), "channel": fields.channel,
            "head": head.len(), "size": measure.size_bytes, "content_type": content_type, "file_name": file_name,
        })))
    }

    /// Download
    #[oai(path = "/:thing_id/file", method = "get", operation_id = "get_file")]
    async fn get_file(&self, thing_id: Path<AgentId>, range: Header<Option<String>>) -> Result<FileAnswer, Refusal> {
        let slice = range::slice(range.0.as_deref(), 10)?;
        let bytes = slice.bytes();
        let part = Bytes::from_static(b"0123456789").slice(bytes.start as usize..bytes.end as usize);
        let stream = Box::pin(futures_util::stream::iter([Ok(part)]));
        Ok(FileAnswer::of(slice, stream, "audio/wav", ETag::of(thing_id.0.0, 1)))
    }
}

/// A server on a socket of its own, and a client that follows no redirect.
struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    async fn of(service: BoxEndpoint<'static, Response>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let acceptor = TcpAcceptor::from_tokio(listener).expect("a listener");
        tokio::spawn(Server::new_with_acceptor(acceptor).run(service));
        Self { http: reqwest::Client::builder().redirect(Policy::none()).build().expect("a client"), url }
    }

    async fn things() -> Self {
        Self::of(service(Things, LIMIT, Readiness::always())).await
    }

    fn get(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.http.get(format!("{}{}", self.url, path.as_ref()))
    }

    fn post(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.http.post(format!("{}{}", self.url, path.as_ref()))
    }

    fn patch(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.http.patch(format!("{}{}", self.url, path.as_ref()))
    }

    fn delete(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.http.delete(format!("{}{}", self.url, path.as_ref()))
    }
}

/// Sends, and expects this status.
async fn sent(request: RequestBuilder, status: u16) -> reqwest::Response {
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), status, "{}", answer.url());
    answer
}

fn header<'a>(answer: &'a reqwest::Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

const ID: &str = "00000000-0000-0000-0000-000000000007";

/// The answer's status and the problem's slug, after checking that it is a whole problem.
async fn refused(request: RequestBuilder) -> (u16, String, Value) {
    let answer = request.header("x-request-id", "r-1").send().await.expect("an answer");
    let status = answer.status().as_u16();
    assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
    assert_eq!(header(&answer, "x-request-id"), Some("r-1"));
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!((&problem["status"], &problem["instance"]), (&json!(status), &json!("r-1")));
    let slug = problem["type"].as_str().expect("a type").trim_start_matches("/problems/").to_owned();
    (status, slug, problem)
}

#[tokio::test]
async fn whatever_poem_refuses_is_a_problem() {
    let c = Client::things().await;
    let thing = format!("/api/things/{ID}");
    let name = |slug: &str, status: u16, (got, kind, _): (u16, String, Value)| {
        assert_eq!((got, kind.as_str()), (status, slug))
    };
    name("not-found", 404, refused(c.get("/nowhere")).await);
    name("not-found", 404, refused(c.get("/api/things/no-uuid")).await);
    name("method-not-allowed", 405, refused(c.delete("/api/things")).await);
    name("validation", 400, refused(c.get("/api/things?limit=0")).await);
    name("invalid-cursor", 400, refused(c.get("/api/things?cursor=zzz")).await);
    name("validation", 400, refused(c.post("/api/things").header("content-type", "application/json").body("{")).await);
    name("validation", 400, refused(c.post("/api/things").json(&json!({}))).await);
    name(
        "validation",
        400,
        refused(c.post("/api/things").header("Idempotency-Key", "é").json(&json!({"name": "x"}))).await,
    );
    name(
        "unsupported-media-type",
        415,
        refused(c.post("/api/things").header("content-type", "text/plain").body("x")).await,
    );
    name("unsupported-media-type", 415, refused(c.post("/api/things").body("x")).await);
    name("too-large", 413, refused(c.post("/api/things").json(&json!({"name": "x".repeat(2000)}))).await);
    name("internal", 500, refused(c.post("/api/things/panic")).await);
    name("precondition-required", 428, refused(c.patch(&thing).json(&json!({"name": "x"}))).await);
    name("stale-revision", 412, refused(c.patch(&thing).header("If-Match", "\"a\"").json(&json!({"name": "x"}))).await);
    name("validation", 400, refused(c.patch(&thing).header("If-Match", "a").json(&json!({"name": "x"}))).await);
    name("range-not-satisfiable", 416, refused(c.get(format!("{thing}/file")).header("range", "bytes=10-")).await);
}

#[tokio::test]
async fn an_unknown_field_is_named_and_a_panic_says_nothing() {
    let c = Client::things().await;
    let (status, slug, problem) = refused(c.post("/api/things").json(&json!({"name": "x", "nmae": "y"}))).await;
    assert_eq!((status, slug.as_str(), &problem["errors"][0]["field"]), (400, "unknown-field", &json!("nmae")));
    let (_, slug, problem) = refused(c.post("/api/things").json(&json!({"name": ""}))).await;
    assert_eq!((slug.as_str(), &problem["errors"][0]["field"]), ("validation", &json!("name")), "{problem}");
    let (_, _, problem) = refused(c.post("/api/things/panic")).await;
    assert!(!problem.to_string().contains("secret"), "{problem}");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let c = Client::things().await;
    for (path, allow) in [
        ("/api/things".to_owned(), "GET, POST, HEAD"),
        (format!("/api/things/{ID}"), "GET, PATCH, HEAD"),
        ("/api/things/panic".to_owned(), "POST"),
        ("/healthz".to_owned(), "GET, HEAD"),
    ] {
        assert_eq!(header(&sent(c.delete(&path), 405).await, "allow"), Some(allow));
    }
}

#[tokio::test]
async fn a_chunked_body_is_counted() {
    let Client { http, url } = Client::things().await;
    let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 600]));
    let stream = futures_util::stream::iter([chunk(), chunk()]);
    let answer = http
        .post(format!("{url}/api/things"))
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(stream))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 413);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(problem["type"], json!("/problems/too-large"));
}

#[tokio::test]
async fn an_upload_comes_in_three_ways() {
    let Client { http, url } = Client::things().await;
    let upload = format!("{url}/api/things/upload");
    let written: Value =
        http.post(&upload).json(&json!({"name": "x"})).send().await.expect("sent").json().await.expect("JSON");
    assert_eq!(written, json!({"name": "x"}));

    let part =
        reqwest::multipart::Part::bytes(vec![7; 40_000]).file_name("a.wav").mime_str("audio/wav").expect("a type");
    let form = reqwest::multipart::Form::new()
        .text("owner_id", ID)
        .text("side", "right")
        .text("channel", "2")
        .part("audio", part);
    let sent: Value = http.post(&upload).multipart(form).send().await.expect("sent").json().await.expect("JSON");
    assert_eq!(
        sent,
        json!({"owner_id": ID, "right": true, "channel": 2, "head": 4096, "size": 40_000, "content_type": "audio/wav", "file_name": "a.wav"})
    );

    let bare = http
        .post(format!("{upload}?owner_id={ID}"))
        .header("content-type", "application/octet-stream")
        .body(vec![7; 10])
        .send()
        .await
        .expect("sent");
    let sent: Value = bare.json().await.expect("JSON");
    assert_eq!((&sent["size"], &sent["head"], &sent["right"]), (&json!(10), &json!(10), &json!(false)));
}

#[tokio::test]
async fn a_bad_upload_says_what_is_bad() {
    let Client { http, url } = Client::things().await;
    let upload = format!("{url}/api/things/upload");
    let form = reqwest::multipart::Form::new;
    let file = |bytes| reqwest::multipart::Part::bytes(vec![7; bytes]).file_name("a");
    let cases = [
        (form().part("audio", file(10)), 400, "validation"),
        (form().text("owner_id", ID), 400, "validation"),
        (form().text("owner_id", ID).text("side", "up").part("audio", file(10)), 400, "validation"),
        (form().text("owner_id", ID).text("channel", "two").part("audio", file(10)), 400, "validation"),
        (form().text("owner_id", ID).text("owner_id", ID).part("audio", file(10)), 400, "validation"),
        (form().text("owner_id", "x".repeat(20_000)).part("audio", file(10)), 400, "validation"),
        (form().text("ownerid", ID).part("audio", file(10)), 400, "unknown-field"),
        (form().text("owner_id", ID).part("audio", file(10)).text("side", "left"), 400, "validation"),
        (form().text("owner_id", ID).part("audio", file(60_000)), 413, "too-large"),
    ];
    for (form, status, slug) in cases {
        let answer = http.post(&upload).multipart(form).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{slug}");
        let problem: Value = answer.json().await.expect("JSON");
        assert_eq!(problem["type"], json!(format!("/problems/{slug}")), "{problem}");
    }
    let cut = "--b\r\ncontent-disposition: form-data; name=\"owner_id\"\r\n\r\n0000";
    let answer = http.post(&upload).header("content-type", "multipart/form-data; boundary=b").body(cut).send().await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 400);
    let cut = format!(
        "--b\r\ncontent-disposition: form-data; name=\"owner_id\"\r\n\r\n{ID}\r\n--b\r\ncontent-disposition: form-data; name=\"audio\"; filename=\"a\"\r\n\r\n0000"
    );
    let answer = http.post(&upload).header("content-type", "multipart/form-data; boundary=b").body(cut).send().await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 400);
}

#[tokio::test]
async fn ranges_pages_and_known_revisions_are_answered() {
    let c = Client::things().await;
    let part = sent(c.get(format!("/api/things/{ID}/file")).header("range", "bytes=2-4"), 206).await;
    assert_eq!(header(&part, "content-range"), Some("bytes 2-4/10"));
    assert_eq!((header(&part, "content-type"), header(&part, "content-length")), (Some("audio/wav"), Some("3")));
    assert_eq!(part.bytes().await.expect("a body"), "234");

    let head = sent(c.http.head(format!("{}/api/things/{ID}/file", c.url)), 200).await;
    assert_eq!(head.bytes().await.expect("no body").len(), 0);

    let page: Value = sent(c.get("/api/things?limit=2"), 200).await.json().await.expect("JSON");
    assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
    let next = page["next_cursor"].as_str().expect("another page");
    sent(c.get(format!("/api/things?limit=2&cursor={next}")), 200).await;

    let thing = format!("/api/things/{ID}");
    let first = sent(c.get(&thing), 200).await;
    let etag = header(&first, "etag").expect("a tag");
    sent(c.get(&thing).header("if-none-match", etag), 304).await;
    let changed = sent(c.patch(&thing).header("if-match", etag).json(&json!({"name": "y"})), 200).await;
    assert!(header(&changed, "etag").is_some_and(|new| new != etag));
    let created = sent(c.post("/api/things").json(&json!({"name": "x"})), 201).await;
    assert_eq!((header(&created, "location"), header(&created, "idempotency-replayed")), (Some("/api/things/1"), None));
}

#[tokio::test]
async fn swagger_ui_loads_all_that_it_names() {
    let c = Client::things().await;
    assert_eq!(header(&sent(c.get("/docs"), 308).await, "location"), Some("/docs/"));
    let page = sent(c.get("/docs/"), 200).await;
    assert_eq!(header(&page, "content-type"), Some("text/html"));
    let policy = header(&page, "content-security-policy").expect("a policy");
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe-eval"), "{policy}");
    let page = page.text().await.expect("text");
    assert!(!page.contains("<script>") && !page.contains("http"), "nothing inline, nothing from elsewhere");
    let named = page.split("src=\"").skip(1).chain(page.split("href=\"").skip(1));
    let named: Vec<&str> = named.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(named.len(), 5, "{named:?}");
    for file in named.into_iter().chain(["oauth2-redirect.html", "oauth2-redirect.js"]) {
        let answer = sent(c.get(format!("/docs/{file}")), 200).await;
        let content_type = match file.rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("png") => "image/png",
            _ => "text/html",
        };
        assert_eq!(header(&answer, "content-type"), Some(content_type));
    }
    sent(c.get("/docs/nothing.js"), 404).await;
    sent(c.get("/docs/..%2fCargo.toml"), 404).await;
    let document: Value = sent(c.get("/openapi.json"), 200).await.json().await.expect("JSON");
    assert_eq!(document, document_of_things());
}

fn document_of_things() -> Value {
    document(Things)
}

#[tokio::test]
async fn health_is_told_and_answers_carry_security_headers() {
    let c = Client::things().await;
    let alive = sent(c.get("/healthz"), 200).await;
    assert_eq!(header(&alive, "x-content-type-options"), Some("nosniff"));
    assert!(header(&alive, "x-request-id").is_some_and(|id| id.len() == 32));
    let replaced = sent(c.get("/healthz").header("x-request-id", "not sane"), 200).await;
    assert_ne!(header(&replaced, "x-request-id"), Some("not sane"));
    sent(c.get("/readyz"), 200).await;
    let away = service(Things, LIMIT, Readiness::new(async || Err("the database is away".to_owned())));
    let answer = sent(Client::of(away).await.get("/readyz"), 503).await;
    assert_eq!(answer.text().await.expect("text"), "{\"status\":\"not ready\"}");
}

#[tokio::test]
async fn every_kind_of_problem_is_explained() {
    let c = Client::things().await;
    for kind in crate::platform::http::Kind::ALL {
        let said: Value = sent(c.get(kind.uri()), 200).await.json().await.expect("JSON");
        assert_eq!(said["status"], json!(kind.status().as_u16()));
        let page = sent(c.get(kind.uri()).header("accept", "text/html"), 200).await;
        assert_eq!(header(&page, "content-type"), Some("text/html; charset=utf-8"));
    }
    sent(c.get("/problems/unheard-of"), 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_does_not_hurt_the_next_one() {
    use tokio::io::AsyncWriteExt;
    let url = Client::things().await.url;
    let address = url.trim_start_matches("http://");
    let mut gone = tokio::net::TcpStream::connect(address).await.expect("connected");
    let start = format!(
        "POST /api/things/upload?owner_id={ID} HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: 5000\r\n\r\nabc"
    );
    gone.write_all(start.as_bytes()).await.expect("written");
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(gone);
    let next = reqwest::get(format!("{url}/healthz")).await.expect("an answer");
    assert_eq!(next.status().as_u16(), 200);
}

mod the_document {
    use super::*;

    /// Calls `visit` with every object in the document.
    fn objects(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
        match value {
            Value::Object(object) => {
                visit(object);
                object.values().for_each(|value| objects(value, visit));
            }
            Value::Array(array) => array.iter().for_each(|value| objects(value, visit)),
            _ => {}
        }
    }

    #[test]
    fn is_the_same_every_time_and_polished() {
        let document = document(Things);
        assert_eq!(document, super::document(Things));
        assert_eq!(document["openapi"], json!("3.0.3"));
        let text = document.to_string();
        assert!(!text.contains("charset"), "media types have no parameters");
        objects(&document, &mut |object| {
            assert_ne!(object.get("description"), Some(&json!("")), "{object:?}");
            if object.get("type") == Some(&json!("integer")) {
                for bound in ["minimum", "maximum"] {
                    assert!(object.get(bound).is_none_or(Value::is_i64), "{object:?}");
                }
            }
        });
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document(Things);
        objects(&document, &mut |object| {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
        });
        assert!(document.pointer("/components/schemas/ThingPage").is_some());
    }

    #[test]
    fn requests_are_closed_and_answers_open() {
        let schemas = &document(Things)["components"]["schemas"];
        assert_eq!(schemas["NewThing"]["additionalProperties"], json!(false));
        assert_eq!(schemas["Thing"].get("additionalProperties"), None);
        assert_eq!(schemas["Problem"].get("additionalProperties"), None);
    }

    #[test]
    fn an_upload_is_one_operation_of_three_media_types() {
        let document = document(Things);
        let upload = &document["paths"]["/api/things/upload"]["post"];
        let content = upload["requestBody"]["content"].as_object().expect("content");
        assert_eq!(
            content.keys().collect::<Vec<_>>(),
            ["application/json", "multipart/form-data", "application/octet-stream"]
        );
        let form = &content["multipart/form-data"]["schema"];
        assert_eq!(form["required"], json!(["owner_id", "audio"]));
        assert_eq!(form["properties"]["audio"]["format"], json!("binary"));
        let query: Vec<&Value> =
            upload["parameters"].as_array().expect("parameters").iter().map(|p| &p["name"]).collect();
        assert_eq!(query, [&json!("owner_id"), &json!("side"), &json!("channel")]);
        let etag = &document["paths"]["/api/things/{thing_id}"]["get"]["responses"]["200"]["headers"]["ETag"];
        assert!(etag.is_object(), "headers are spelt as people know them");
        let if_match = &document["paths"]["/api/things/{thing_id}"]["patch"]["parameters"][1];
        assert_eq!((&if_match["name"], &if_match["required"]), (&json!("If-Match"), &json!(true)));
    }
}
