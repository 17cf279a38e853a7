//! A transcription job: queued, processing, then completed or in error; the audio is fetched, recognised and reported.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, sleep_until},
};
use url::{Host, Url};

use super::{
    Studio,
    analysis::REDACTABLE,
    params::{Asked, Webhook},
    recogniser::{Recognised, recognise},
    webhook,
};
use crate::demo::standins::{faults::JobFault, server::count};

/// Audio shorter than this is refused.
const SHORTEST_MS: u64 = 160;

/// A job and how far it is.
#[derive(Debug)]
pub struct Job {
    /// Whose it is: nobody else may read it.
    pub account: &'static str,
    pub asked: Asked,
    pub fault: Option<JobFault>,
    pub status: Status,
    pub deleted: bool,
    pub webhook_status: Option<u16>,
}

/// Where a job stands, with what it brought.
#[derive(Debug)]
pub enum Status {
    Queued,
    Processing,
    Completed(Recognised),
    Error(String),
}

impl Status {
    /// The word on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed(_) => "completed",
            Self::Error(_) => "error",
        }
    }
}

/// Walks a job to its end, and reports it.
pub async fn run(studio: Arc<Studio>, id: String, asked: Asked, fault: Option<JobFault>) {
    let done_at = Instant::now() + studio.processing_delay;
    sleep(studio.processing_delay / 2).await;
    studio.change(&id, |job| job.status = Status::Processing);
    if fault == Some(JobFault::WebhookEarly) {
        report(&studio, &id, asked.webhook.as_ref(), "completed").await;
    }
    let fetched = studio.shelf.join(format!("fetched-{id}"));
    let outcome = work(&studio, &asked, fault.as_ref(), &fetched).await;
    // Best effort: the whole shelf goes when the stand-ins stop.
    let _ = tokio::fs::remove_file(&fetched).await;
    sleep_until(done_at).await;
    let status = outcome.map_or_else(Status::Error, Status::Completed);
    let word = status.as_str();
    studio.change(&id, |job| job.status = status);
    match fault {
        Some(JobFault::WebhookEarly) => {}
        Some(JobFault::WebhookTwice) => {
            report(&studio, &id, asked.webhook.as_ref(), word).await;
            report(&studio, &id, asked.webhook.as_ref(), word).await;
        }
        Some(JobFault::WebhookForged) => {
            let forged = asked.webhook.clone().map(|webhook| Webhook {
                header: webhook.header.map(|(name, _)| (name, "a guess".to_owned())),
                ..webhook
            });
            report(&studio, &id, forged.as_ref(), word).await;
            report(&studio, &id, asked.webhook.as_ref(), word).await;
        }
        Some(JobFault::WebhookOfAudio) => {
            send(&studio, &id, asked.webhook.as_ref(), &webhook::redacted_audio()).await;
            report(&studio, &id, asked.webhook.as_ref(), word).await;
        }
        _ => report(&studio, &id, asked.webhook.as_ref(), word).await,
    }
}

async fn report(studio: &Studio, id: &str, to: Option<&Webhook>, status: &str) {
    send(studio, id, to, &webhook::notification(id, status)).await;
}

async fn send(studio: &Studio, id: &str, to: Option<&Webhook>, body: &Value) {
    let Some(to) = to.filter(|to| on_this_machine(&to.url)) else { return };
    let answered = webhook::deliver(&studio.http, to, body, webhook::PAUSE, &studio.house.counters.webhooks).await;
    studio.change(id, |job| job.webhook_status = answered);
}

async fn work(studio: &Studio, asked: &Asked, fault: Option<&JobFault>, fetched: &Path) -> Result<Recognised, String> {
    const TOO_SHORT: &str = "Audio duration is too short.";
    match fault {
        Some(JobFault::Download) => return Err(download_error(&asked.audio_url)),
        Some(JobFault::NotAudio) => {
            return Err("File does not appear to contain audio. File type is text/html (HTML document).".to_owned());
        }
        Some(JobFault::TooShort) => return Err(TOO_SHORT.to_owned()),
        Some(JobFault::ServerSide) => return Err("Server error, developers have been alerted.".to_owned()),
        Some(JobFault::NotInThisLanguage) => {
            return Err("The following models are not available in this language: sentiment_analysis".to_owned());
        }
        _ => {}
    }
    let audio = audio(studio, &asked.audio_url, fetched).await?;
    let head = head(&audio).await.map_err(|_| download_error(&asked.audio_url))?;
    if let Some(kind) = not_audio(&head) {
        return Err(format!("File does not appear to contain audio. File type is {kind}."));
    }
    if asked.redact.as_ref().is_some_and(|redact| {
        redact.audio || redact.policies.iter().any(|policy| !REDACTABLE.contains(&policy.as_str()))
    }) {
        return Err(format!(
            "This stand-in redacts only {} in the words, so it gives no transcript instead of an unredacted one.",
            REDACTABLE.join(", ")
        ));
    }
    let Some(recogniser) = &studio.recogniser else {
        return Err("No speech recogniser is installed behind this stand-in (script/speech installs one), and no transcript is \
                    invented."
            .to_owned());
    };
    let by_channel = channels(&head).map_or(asked.multichannel, |channels| channels == 2);
    let language = asked.language_code.as_deref().map(|code| code.split('_').next().unwrap_or(code));
    let heard = recognise(&studio.http, recogniser, &audio, by_channel, language).await?;
    if heard.duration_ms < SHORTEST_MS { Err(TOO_SHORT.to_owned()) } else { Ok(heard) }
}

/// The file of an own upload, or the download of a URL. Nothing but this machine is asked.
async fn audio(studio: &Studio, url: &Url, fetched: &Path) -> Result<PathBuf, String> {
    if let Some(upload) = studio.upload_at(url) {
        return Ok(upload.path);
    }
    if !on_this_machine(url) {
        return Err(format!("{} This stand-in fetches from this machine only.", download_error(url)));
    }
    count(&studio.house.counters.audio_fetches);
    download(studio, url, fetched).await.map_err(|_| download_error(url))?;
    Ok(fetched.to_owned())
}

async fn download(studio: &Studio, url: &Url, to: &Path) -> io::Result<()> {
    let answer = studio.http.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(io::Error::other)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(io::Error::other("not the whole file"));
    }
    let mut file = File::create(to).await?;
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece.map_err(io::Error::other)?).await?;
    }
    file.flush().await
}

/// The URL is shown without its query, which may carry a signature.
fn download_error(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    format!(
        "Download error, unable to download {shown}. Please make sure the file exists and is accessible from the internet."
    )
}

/// Whether a URL stays on this machine: plain http to a loopback address.
fn on_this_machine(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && loopback
}

async fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path).await?.take(4096).read_to_end(&mut head).await?;
    Ok(head)
}

/// The kind of a file that is known to be something else than sound; unknown files are left to the recogniser.
fn not_audio(head: &[u8]) -> Option<&'static str> {
    use infer::MatcherType::{Audio, Video};
    if head.is_empty() {
        return Some("inode/x-empty (empty)");
    }
    let kind = infer::get(head)?;
    (!matches!(kind.matcher_type(), Audio | Video)).then(|| kind.mime_type())
}

/// The channels of a WAV or FLAC file; `None` for other formats.
fn channels(head: &[u8]) -> Option<u16> {
    wav_channels(head).or_else(|| flac_channels(head))
}

/// The stream information comes first: 18 bytes on, 20 bits of sample rate, then three bits of channels less one.
fn flac_channels(head: &[u8]) -> Option<u16> {
    let information = head.strip_prefix(b"fLaC")?;
    Some(u16::from(information.get(16)? >> 1 & 7) + 1)
}

fn wav_channels(head: &[u8]) -> Option<u16> {
    let body = head.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut rest = body;
    loop {
        let (name, after) = rest.split_at_checked(4)?;
        let (size, data) = after.split_at_checked(4)?;
        if name == b"fmt " {
            return Some(u16::from_le_bytes([*data.get(2)?, *data.get(3)?]));
        }
        let size = usize::try_from(u32::from_le_bytes(size.try_into().ok()?)).ok()?;
        rest = data.get(size.checked_add(size % 2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_this_machine_is_asked() {
        let here = |url: &str| on_this_machine(&Url::parse(url).unwrap());
        assert!(here("http://127.0.0.1:9/a") && here("http://localhost/a") && here("http://[::1]/a"));
        assert!(!here("https://example.com/a") && !here("http://10.0.0.1/") && !here("http://127.0.0.1.example.com/"));
        assert!(!here("file:///etc/passwd"));
    }

    #[test]
    fn a_signature_never_stands_in_an_error() {
        let error = download_error(&Url::parse("http://127.0.0.1/a.wav?X-Amz-Signature=abc").unwrap());
        assert!(error.contains("/a.wav") && !error.contains("abc"));
    }

    #[test]
    fn channels_are_read_from_the_head() {
        let wav = b"RIFF\0\0\0\0WAVELIST\x02\0\0\0abfmt \x10\0\0\0\x01\0\x02\0rest";
        assert_eq!(wav_channels(wav), Some(2));
        assert_eq!(channels(b"ID3"), None);
        let mut flac = b"fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x01\xf4\x02\xf0".to_vec();
        assert_eq!(channels(&flac), Some(2));
        flac[20] = 0x00;
        assert_eq!(channels(&flac), Some(1));
        assert!(not_audio(b"<!DOCTYPE html><html></html>").is_some());
    }

    proptest! {
        #[test]
        fn no_head_panics(tail in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = wav_channels(&[b"RIFF\0\0\0\0WAVE".as_slice(), &tail].concat());
            let _ = flac_channels(&[b"fLaC".as_slice(), &tail].concat());
            let _ = not_audio(&tail);
        }
    }
}
