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
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream, stream::BoxStream};
use poem::{
    Body, FromRequest, Request, RequestBody, Result,
    web::{Field, Multipart, Query},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    error::ContentTypeError,
    payload::{Json, ParsePayload},
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
    types::{IsObjectType, ParseFromJSON},
};
use serde_json::{Map, Value};
use tokio::{io::AsyncReadExt, time::timeout};
use tokio_util::io::ReaderStream;

use super::{
    body_limit::{SILENT_FOR, Silent},
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
/// Bytes that may come before the head of one part is complete. The parser holds them all and searches them anew with every chunk.
const FRAME_BYTES: u64 = 64 * 1024;
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
    let frame = Arc::new(Frame::default());
    let unhurried = Unhurried { bytes: body.take()?.into_bytes_stream().boxed(), pause: false, frame: frame.clone() };
    let mut unhurried = RequestBody::new(Body::from_bytes_stream(unhurried));
    let mut form = <Multipart as FromRequest>::from_request(request, &mut unhurried).await?;
    let mut sent = Vec::new();
    while let Some(field) = next_part(&mut form, &frame).await? {
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(Refusal::new(Kind::BadRequest, "a part of the form has no name").into());
        };
        if name == FILE_PART {
            let content_type = field.content_type().map(str::to_owned);
            let file_name = field.file_name().map(str::to_owned);
            frame.lift();
            let bytes = ReaderStream::with_capacity(field.into_async_read(), CHUNK_BYTES).boxed();
            return Ok(SentFile {
                fields: fields(sent)?,
                bytes: last_part(bytes, form, frame),
                content_type,
                file_name,
            });
        }
        if sent.len() == MOST_FIELDS {
            return Err(Refusal::new(Kind::Validation, "the form has too many fields").into());
        }
        let mut text = String::new();
        frame.begin();
        let mut field = std::pin::pin!(field.into_async_read().take(LONGEST_FIELD + 1));
        let read = timeout(SILENT_FOR, field.read_to_string(&mut text)).await.map_err(|_| Refusal::from(Silent))?;
        read.map_err(|error| refused(&name, error))?;
        if text.len() as u64 > LONGEST_FIELD {
            return Err(Refusal::invalid(name, "is too long").into());
        }
        sent.push((name, text));
    }
    Err(Problem::new(Kind::Validation, "the form has no recording").field(FILE_PART, "is missing").into_error())
}

/// The next part, once its head is complete.
async fn next_part(form: &mut Multipart, frame: &Frame) -> Result<Option<Field>> {
    frame.begin();
    let next = timeout(SILENT_FOR, form.next_field()).await.map_err(|_| Refusal::from(Silent))?;
    next.map_err(|error| if frame.is_broken() { Refusal::from(UploadError::Frame).into() } else { error.into() })
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
fn last_part(
    bytes: BoxStream<'static, io::Result<Bytes>>,
    form: Multipart,
    frame: Arc<Frame>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let end = stream::once(async move {
        let mut form = form;
        frame.begin();
        match form.next_field().await {
            Ok(None) => None,
            Ok(Some(field)) => {
                let name = field.name().unwrap_or_default().to_owned();
                Some(Err(io::Error::other(UploadError::FieldAfterFile(name))))
            }
            Err(_) if frame.is_broken() => Some(Err(io::Error::other(UploadError::Frame))),
            Err(error) => Some(Err(io::Error::other(error))),
        }
    });
    bytes.chain(end.filter_map(|end| async move { end })).boxed()
}

/// How much the parser may still take in before it gives something back.
struct Frame {
    left_bytes: AtomicU64,
    broken: AtomicBool,
}

impl Default for Frame {
    fn default() -> Self {
        Self { left_bytes: AtomicU64::new(FRAME_BYTES), broken: AtomicBool::new(false) }
    }
}

impl Frame {
    /// The next head or the next field begins: it has the whole measure.
    fn begin(&self) {
        self.left_bytes.store(FRAME_BYTES, Ordering::Release);
    }

    /// The file begins: it passes through, and others count it.
    fn lift(&self) {
        self.left_bytes.store(u64::MAX, Ordering::Release);
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Counts a chunk. It may be larger than what is left: what comes after the head is in it too.
    fn take(&self, bytes: usize) {
        let left = self.left_bytes.load(Ordering::Acquire);
        self.left_bytes.store(left.saturating_sub(bytes as u64), Ordering::Release);
    }
}

/// Pauses after every chunk, because the parser of forms takes in whatever is ready before it passes anything on; and ends when the parser
/// has taken in more than a [`Frame`] without finding what it searches for.
struct Unhurried {
    bytes: BoxStream<'static, io::Result<Bytes>>,
    pause: bool,
    frame: Arc<Frame>,
}

impl Stream for Unhurried {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.frame.left_bytes.load(Ordering::Acquire) == 0 {
            self.frame.broken.store(true, Ordering::Release);
            return Poll::Ready(Some(Err(io::Error::other(UploadError::Frame))));
        }
        let polled = self.bytes.poll_next_unpin(cx);
        self.pause = polled.is_ready();
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            self.frame.take(chunk.len());
        }
        polled
    }
}
