//! One operation that takes a document or a recording, and documents all three ways to send it:
//!
//! - `application/json`: the document, an object `D` of the room;
//! - `multipart/form-data`: the fields of an object `M`, then the file in a part called `audio`;
//! - `application/octet-stream`: the bare file; the fields of `M` are query parameters (the server's polish documents them).
//!
//! ```text
//! async fn upload_call(&self, caller: Caller, upload: Upload<NewConversation, RecordingFields>) -> Result<Accepted<CallView>, Refusal> {
//!     match upload {
//!         Upload::Document(conversation) => …,
//!         Upload::File(SentFile { fields, bytes, content_type, file_name }) => {
//!             let mut audio = Measured::new(bytes, self.limit_bytes);
//!             let head = audio.head().await?;             // sniff before anything is stored
//!             …stream `audio` to the store…; audio.measure()
//! ```
//! Both objects say `#[oai(deny_unknown_fields)]`. Fields of `M` are texts, or numbers, booleans and enums that a text can spell. Nothing of the
//! file is read here.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream, stream::BoxStream};
use poem::{
    Body, FromRequest, Request, RequestBody, Result,
    web::{Multipart, Query},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    error::ContentTypeError,
    payload::{Json, ParsePayload},
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
    types::{IsObjectType, ParseFromJSON},
};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{
    problem::{Kind, Problem, Refusal},
    refuse,
    stream::UploadError,
};

/// Name of the multipart part that holds the file.
pub const FILE_PART: &str = "audio";
/// Bytes of the longest field beside a file.
const LONGEST_FIELD: u64 = 16 * 1024;
/// Most fields beside a file.
const MOST_FIELDS: usize = 50;
/// Bytes that are read from the part's buffer at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What was sent.
pub enum Upload<D, M> {
    /// A document, read whole.
    Document(D),
    /// A file, not yet read.
    File(SentFile<M>),
}

/// A file on its way.
pub struct SentFile<M> {
    /// What was said about it.
    pub fields: M,
    /// Its bytes; errors carry an [`UploadError`].
    pub bytes: BoxStream<'static, io::Result<Bytes>>,
    /// The type that the client claims; nothing is proved by it.
    pub content_type: Option<String>,
    /// The name that the client gave it; never a path to anything.
    pub file_name: Option<String>,
}

impl<'a, D, M> ApiExtractor<'a> for Upload<D, M>
where
    D: ParseFromJSON + IsObjectType,
    M: ParseFromJSON + IsObjectType,
{
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        D::register(registry);
        M::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let binary = || MetaSchema {
            description: Some("The recording, as the file is."),
            ..MetaSchema::new_with_format("string", "binary")
        };
        let mut form = object::<M>();
        form.rust_typename = None;
        form.required.push(FILE_PART);
        form.properties.push((FILE_PART, MetaSchemaRef::Inline(Box::new(binary()))));
        let media = |content_type, schema| MetaMediaType { content_type, schema };
        Some(MetaRequest {
            description: Some(
                "A written conversation as JSON; or a recording, as a form whose fields come before the file, or bare with its fields in the query.",
            ),
            required: true,
            content: vec![
                media("application/json", D::schema_ref()),
                media("multipart/form-data", MetaSchemaRef::Inline(Box::new(form))),
                media("application/octet-stream", MetaSchemaRef::Inline(Box::new(binary()))),
            ],
        })
    }

    async fn from_request(request: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let Some(content_type) = request.content_type() else {
            return Err(ContentTypeError::ExpectContentType.into());
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Ok(Self::Document(<Json<D> as ParsePayload>::from_request(request, body).await?.0)),
            "multipart/form-data" => form(request, body).await.map(Self::File),
            "application/octet-stream" => bare(request, body).await.map(Self::File),
            _ => Err(ContentTypeError::NotSupported { content_type: content_type.to_owned() }.into()),
        }
    }
}

/// The object's own schema, where it is usually referred to by name.
fn object<M: IsObjectType>() -> MetaSchema {
    let mut registry = Registry::new();
    registry.create_fake_schema::<M>()
}

async fn bare<M: ParseFromJSON + IsObjectType>(request: &Request, body: &mut RequestBody) -> Result<SentFile<M>> {
    let Query(sent) = Query::<Vec<(String, String)>>::from_request_without_body(request).await?;
    let fields = fields(sent)?;
    let bytes = body.take()?.into_bytes_stream().boxed();
    Ok(SentFile { fields, bytes, content_type: None, file_name: None })
}

async fn form<M: ParseFromJSON + IsObjectType>(request: &Request, body: &mut RequestBody) -> Result<SentFile<M>> {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(Refusal::invalid("query", "a form carries its fields in itself; send no query parameters").into());
    }
    let mut unhurried =
        RequestBody::new(Body::from_bytes_stream(Unhurried(body.take()?.into_bytes_stream().boxed(), false)));
    let mut form = <Multipart as FromRequest>::from_request(request, &mut unhurried).await?;
    let mut sent = Vec::new();
    while let Some(field) = form.next_field().await? {
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(Refusal::new(Kind::BadRequest, "a part of the form has no name").into());
        };
        if name == FILE_PART {
            let content_type = field.content_type().map(str::to_owned);
            let file_name = field.file_name().map(str::to_owned);
            let bytes = ReaderStream::with_capacity(field.into_async_read(), CHUNK_BYTES).boxed();
            return Ok(SentFile { fields: fields(sent)?, bytes: last_part(bytes, form), content_type, file_name });
        }
        if sent.len() == MOST_FIELDS {
            return Err(Refusal::new(Kind::Validation, "the form has too many fields").into());
        }
        let mut text = String::new();
        let read = std::pin::pin!(field.into_async_read().take(LONGEST_FIELD + 1)).read_to_string(&mut text).await;
        read.map_err(|error| refused(&name, error))?;
        if text.len() as u64 > LONGEST_FIELD {
            return Err(Refusal::invalid(name, "is too long").into());
        }
        sent.push((name, text));
    }
    Err(Problem::new(Kind::Validation, "the form has no recording").field(FILE_PART, "is missing").into_error())
}

fn refused(field: &str, error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::InvalidData => Refusal::invalid(field, "is not UTF-8"),
        _ => UploadError::from(error).into(),
    }
}

/// Texts become an object: numbers and booleans where its schema has them.
fn fields<M: ParseFromJSON + IsObjectType>(sent: Vec<(String, String)>) -> Result<M> {
    let schema = object::<M>();
    let mut fields = Map::new();
    for (name, text) in sent {
        let kind = schema.properties.iter().find(|(known, _)| *known == name).map(|(_, schema)| match schema {
            MetaSchemaRef::Inline(schema) => schema.ty,
            MetaSchemaRef::Reference(_) => "string",
        });
        let value = match kind {
            None => {
                return Err(Problem::new(Kind::UnknownField, "a field is not known")
                    .field(name, "is not known")
                    .into_error());
            }
            Some("integer" | "number" | "boolean") => serde_json::from_str(&text)
                .map_err(|_| Refusal::invalid(&name, "must be a number, or true or false, as its schema says"))?,
            Some(_) => Value::String(text),
        };
        if fields.insert(name.clone(), value).is_some() {
            return Err(Refusal::invalid(name, "is given twice").into());
        }
    }
    if let Some(missing) = schema.required.iter().find(|name| !fields.contains_key(**name)) {
        return Err(Refusal::invalid(*missing, "is missing").into());
    }
    M::parse_from_json(Some(Value::Object(fields))).map_err(|error| refuse::body(error.message()).into())
}

/// The file's bytes; after them, the form must end.
fn last_part(bytes: BoxStream<'static, io::Result<Bytes>>, form: Multipart) -> BoxStream<'static, io::Result<Bytes>> {
    let end = stream::once(async move {
        let mut form = form;
        match form.next_field().await {
            Ok(None) => None,
            Ok(Some(field)) => {
                let name = field.name().unwrap_or_default().to_owned();
                Some(Err(io::Error::other(UploadError::FieldAfterFile(name))))
            }
            Err(error) => Some(Err(io::Error::other(error))),
        }
    });
    bytes.chain(end.filter_map(|end| async move { end })).boxed()
}

/// Pauses after every chunk, because the parser of forms takes in whatever is ready before it passes anything on.
struct Unhurried(BoxStream<'static, io::Result<Bytes>>, bool);

impl Stream for Unhurried {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.1) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.0.poll_next_unpin(cx);
        self.1 = polled.is_ready();
        polled
    }
}
