//! The AssemblyAI stand-in: uploads, transcription jobs, webhooks.

mod analysis;
mod job;
mod params;
mod recogniser;
mod transcript;
mod webhook;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use poem::{
    Body, Request, Response, Route,
    endpoint::make,
    get,
    http::{StatusCode, header},
    post,
};
use serde_json::{Value, json};
use tokio::{fs::File, io::AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::{
    job::{Job, Status},
    params::Asked,
};
use super::{
    House, Recogniser, StandInOptions,
    faults::{Fault, JobFault, ReadFault},
    server::{self, count},
};

/// The largest upload, in bytes.
const LARGEST_UPLOAD: u64 = 2_200_000_000;
const LONGEST_BODY: usize = 1 << 20;

/// The stand-in's memory and tools.
#[derive(Debug)]
pub struct Studio {
    house: Arc<House>,
    recogniser: Option<Recogniser>,
    processing_delay: Duration,
    http: reqwest::Client,
    /// Where uploads and downloads lie.
    shelf: PathBuf,
    /// Set once, when the port is known.
    uploads_url: OnceLock<String>,
    uploads: Mutex<HashMap<String, Upload>>,
    jobs: Mutex<HashMap<String, Job>>,
    stop: CancellationToken,
}

/// A file that was uploaded, and by whom.
#[derive(Debug, Clone)]
struct Upload {
    account: &'static str,
    path: PathBuf,
}

impl Studio {
    /// A studio without jobs.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn open(
        house: Arc<House>,
        options: &StandInOptions,
        shelf: PathBuf,
        stop: CancellationToken,
    ) -> io::Result<Arc<Self>> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        Ok(Arc::new(Self {
            house,
            recogniser: options.recogniser.clone(),
            processing_delay: options.processing_delay,
            http: http.map_err(io::Error::other)?,
            shelf,
            uploads_url: OnceLock::new(),
            uploads: Mutex::default(),
            jobs: Mutex::default(),
            stop,
        }))
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<String, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs().get_mut(id) {
            change(job);
        }
    }

    /// The id of an upload of this stand-in, whether it is known or not.
    fn upload_id<'a>(&self, url: &'a Url) -> Option<&'a str> {
        url.as_str().strip_prefix(self.uploads_url.get()?.as_str())
    }

    fn upload_at(&self, url: &Url) -> Option<Upload> {
        self.uploads().get(self.upload_id(url)?).cloned()
    }

    /// The job's object, if it is the account's.
    fn transcript(&self, account: &str, id: &str) -> Option<Value> {
        let jobs = self.jobs();
        let job = jobs.get(id).filter(|job| job.account == account)?;
        Some(transcript::body(id, job))
    }
}

/// The routes below `http://127.0.0.1:port`.
pub fn routes(studio: Arc<Studio>, address: SocketAddr) -> Route {
    // A studio has one server, so this is the first and only call.
    let _ = studio.uploads_url.set(format!("http://{address}/upload/"));
    let with = |studio: &Arc<Studio>| studio.clone();
    let (uploads, creates, reads, deletes) = (with(&studio), with(&studio), with(&studio), studio);
    let read = make(move |request| read(reads.clone(), request));
    Route::new()
        .at("/v2/upload", post(make(move |request| upload(uploads.clone(), request))))
        .at("/v2/transcript", post(make(move |request| create(creates.clone(), request))))
        .at("/v2/transcript/:id", get(read).delete(make(move |request| delete(deletes.clone(), request))))
        .at(
            "/upload/:id",
            get(make(|_| async { Ok::<_, poem::Error>(Response::from(error(StatusCode::FORBIDDEN, "Forbidden"))) })),
        )
}

/// Who asks, and the fault that the key's suffix names.
struct Visitor {
    account: &'static str,
    suffix: String,
}

impl Visitor {
    /// The raw key, without "Bearer".
    fn of(house: &House, request: &Request) -> Result<Self, Refusal> {
        let Some(given) = request.header(header::AUTHORIZATION).filter(|given| !given.is_empty()) else {
            return Err(error(StatusCode::UNAUTHORIZED, "Authentication error, API token missing/invalid"));
        };
        let suffix = house.assemblyai_key.suffix(given).map(str::to_owned);
        let suffix =
            suffix.ok_or_else(|| error(StatusCode::UNAUTHORIZED, "Authentication error, API token missing/invalid"))?;
        Ok(Self { account: if suffix == "other_account" { "other" } else { "main" }, suffix })
    }

    fn fault(&self, queued: Option<Fault>) -> Option<Fault> {
        Fault::named(&self.suffix).or(queued)
    }
}

/// Answers, around the fault: it may take the answer's place before anything is done, or spoil it on its way out.
async fn with_fault(
    fault: Option<Fault>,
    answer: impl Future<Output = Result<Response, Refusal>>,
) -> poem::Result<Response> {
    if let Some(refused) = fault.as_ref().and_then(|fault| fault.refusal(wording)) {
        return Ok(refused);
    }
    let response = answer.await.unwrap_or_else(Response::from);
    Ok(match fault {
        Some(fault) => fault.distort(response).await,
        None => response,
    })
}

fn wording(status: StatusCode) -> Value {
    json!({"error": if status == StatusCode::TOO_MANY_REQUESTS { "Too Many Requests" } else { "Server error, developers have been alerted." }})
}

/// An error answer: `{"error": "…"}`.
struct Refusal(StatusCode, String);

impl From<Refusal> for Response {
    fn from(Refusal(status, said): Refusal) -> Self {
        server::json(status, &json!({ "error": said }))
    }
}

fn error(status: StatusCode, said: &str) -> Refusal {
    Refusal(status, said.to_owned())
}

fn not_found() -> Refusal {
    error(StatusCode::BAD_REQUEST, "Transcript lookup error, transcript id not found")
}

async fn upload(studio: Arc<Studio>, mut request: Request) -> poem::Result<Response> {
    count(&studio.house.counters.uploads);
    let visitor = match Visitor::of(&studio.house, &request) {
        Ok(visitor) => visitor,
        Err(refused) => return Ok(refused.into()),
    };
    let fault = visitor.fault(studio.house.faults.upload());
    with_fault(fault, async move {
        let id = server::fresh_id().to_string();
        let path = studio.shelf.join(&id);
        match store(request.take_body(), &path).await {
            Ok(length) if (1..=LARGEST_UPLOAD).contains(&length) => {}
            stored => {
                let _ = tokio::fs::remove_file(&path).await;
                let said =
                    if matches!(stored, Ok(0)) { "Upload failed, the request has no body" } else { "Upload failed" };
                return Err(error(StatusCode::BAD_REQUEST, said));
            }
        }
        studio.uploads().insert(id.clone(), Upload { account: visitor.account, path });
        let base = studio.uploads_url.get().map_or("", String::as_str);
        Ok(server::json(StatusCode::OK, &json!({"upload_url": format!("{base}{id}")})))
    })
    .await
}

/// Streams a body into a file; gives its bytes, and stops after the largest upload.
async fn store(body: Body, path: &std::path::Path) -> io::Result<u64> {
    let mut file = File::create(path).await?;
    let mut pieces = std::pin::pin!(body.into_bytes_stream());
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        length += piece.len() as u64;
        if length > LARGEST_UPLOAD {
            break;
        }
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    Ok(length)
}

async fn create(studio: Arc<Studio>, mut request: Request) -> poem::Result<Response> {
    count(&studio.house.counters.transcripts_created);
    let visitor = match Visitor::of(&studio.house, &request) {
        Ok(visitor) => visitor,
        Err(refused) => return Ok(refused.into()),
    };
    let body = request.take_body().into_bytes_limit(LONGEST_BODY).await?;
    let fault = visitor.fault(studio.house.faults.create());
    with_fault(fault, async move {
        let asked = Asked::read(&body).map_err(|said| error(StatusCode::BAD_REQUEST, &said))?;
        let foreign = studio.upload_at(&asked.audio_url).is_none_or(|upload| upload.account != visitor.account);
        if studio.upload_id(&asked.audio_url).is_some() && foreign {
            return Err(error(StatusCode::FORBIDDEN, "Cannot access uploaded file"));
        }
        let fault = JobFault::named(&visitor.suffix).or_else(|| studio.house.faults.job());
        let id = server::fresh_id().to_string();
        let job = Job {
            account: visitor.account,
            asked: asked.clone(),
            fault: fault.clone(),
            status: Status::Queued,
            deleted: false,
            webhook_status: None,
        };
        let body = transcript::body(&id, &job);
        studio.jobs().insert(id.clone(), job);
        let (stop, walk) = (studio.stop.clone(), job::run(studio.clone(), id, asked, fault));
        tokio::spawn(async move { stop.run_until_cancelled(walk).await });
        Ok(server::json(StatusCode::OK, &body))
    })
    .await
}

async fn read(studio: Arc<Studio>, request: Request) -> poem::Result<Response> {
    count(&studio.house.counters.transcripts_read);
    let visitor = match Visitor::of(&studio.house, &request) {
        Ok(visitor) => visitor,
        Err(refused) => return Ok(refused.into()),
    };
    let id: String = request.path_params()?;
    let queued = Fault::named(&visitor.suffix).map(ReadFault::from).or_else(|| studio.house.faults.read());
    let (http, unknown) = match queued {
        Some(ReadFault::NotFound) => return Ok(not_found().into()),
        Some(ReadFault::UnknownStatus) => (None, true),
        Some(ReadFault::Http(fault)) => (Some(fault), false),
        None => (None, false),
    };
    with_fault(http, async move {
        let mut body = studio.transcript(visitor.account, &id).ok_or_else(not_found)?;
        if unknown {
            body["status"] = json!("hibernating");
        }
        Ok(server::json(StatusCode::OK, &body))
    })
    .await
}

async fn delete(studio: Arc<Studio>, request: Request) -> poem::Result<Response> {
    count(&studio.house.counters.transcripts_deleted);
    let visitor = match Visitor::of(&studio.house, &request) {
        Ok(visitor) => visitor,
        Err(refused) => return Ok(refused.into()),
    };
    let id: String = request.path_params()?;
    let fault = visitor.fault(studio.house.faults.delete());
    with_fault(fault, async move {
        let url =
            studio.jobs().get(&id).filter(|job| job.account == visitor.account).map(|job| job.asked.audio_url.clone());
        let url = url.ok_or_else(not_found)?;
        studio.change(&id, |job| job.deleted = true);
        if let Some(upload) = studio.upload_at(&url) {
            if let Some(upload_id) = studio.upload_id(&url) {
                studio.uploads().remove(upload_id);
            }
            let _ = tokio::fs::remove_file(upload.path).await;
        }
        let body = studio.transcript(visitor.account, &id).ok_or_else(not_found)?;
        Ok(server::json(StatusCode::OK, &body))
    })
    .await
}

#[cfg(test)]
mod tests;
