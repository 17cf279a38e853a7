//! Real recognition behind the stand-in: a server of OpenAI's `/v1/audio/transcriptions` form. Seconds in, milliseconds out.

use std::{io, path::Path};

use reqwest::multipart::{Form, Part};
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio::fs::File;
use tokio_util::io::ReaderStream;
use url::Url;

use crate::demo::standins::Recogniser;

/// What was heard, in order of time.
#[derive(Debug, Default)]
pub struct Recognised {
    pub duration_ms: u64,
    pub language: Option<String>,
    pub turns: Vec<Turn>,
}

/// A stretch of speech.
#[derive(Debug, PartialEq)]
pub struct Turn {
    pub start_ms: u64,
    pub end_ms: u64,
    pub text: String,
    /// The channel it was heard on, from 1; `None` for mono.
    pub channel: Option<usize>,
    pub confidence: Option<f64>,
    pub words: Vec<Word>,
}

/// A word and when it was said.
#[derive(Debug, PartialEq)]
pub struct Word {
    pub start_ms: u64,
    pub end_ms: u64,
    pub text: String,
}

#[derive(Deserialize)]
struct Answer {
    duration: f64,
    language: Option<String>,
    segments: Option<Vec<AnswerSegment>>,
    #[serde(default)]
    words: Vec<AnswerWord>,
}

#[derive(Deserialize)]
struct AnswerSegment {
    start: f64,
    end: f64,
    text: String,
    speaker: Option<String>,
    avg_logprob: Option<f64>,
}

#[derive(Deserialize)]
struct AnswerWord {
    word: String,
    start: f64,
    end: f64,
}

/// Sends the file and reads the answer. With `by_channel` each channel is a speaker; without it, words have times.
///
/// # Errors
/// The text of the job's error.
pub async fn recognise(
    http: &reqwest::Client,
    recogniser: &Recogniser,
    audio: &Path,
    by_channel: bool,
    language: Option<&str>,
) -> Result<Recognised, String> {
    let mut form =
        Form::new().part("file", part(audio).await.map_err(|error| format!("The upload cannot be read: {error}"))?);
    form = if by_channel {
        form.text("model", "stand-in-diarize")
            .text("response_format", "diarized_json")
            .text("chunking_strategy", "auto")
    } else {
        let form = form.text("model", "stand-in").text("response_format", "verbose_json");
        form.text("timestamp_granularities[]", "word").text("timestamp_granularities[]", "segment")
    };
    if let Some(language) = language {
        form = form.text("language", language.to_owned());
    }
    let request =
        http.post(endpoint(&recogniser.base_url)).bearer_auth(recogniser.api_key.expose_secret()).multipart(form);
    let answer = request.send().await.map_err(|_| "The recogniser behind the stand-in does not answer.".to_owned())?;
    match answer.status().as_u16() {
        200 => {}
        400 => {
            return Err(
                "File does not appear to contain audio. File type is application/octet-stream (data).".to_owned()
            );
        }
        status => return Err(format!("The recogniser behind the stand-in answered {status}.")),
    }
    let answer: Answer = answer
        .json()
        .await
        .map_err(|_| "The recogniser behind the stand-in gave an answer of another form.".to_owned())?;
    read(answer)
}

async fn part(audio: &Path) -> io::Result<Part> {
    let file = File::open(audio).await?;
    let length = file.metadata().await?.len();
    let stream = reqwest::Body::wrap_stream(ReaderStream::new(file));
    Ok(Part::stream_with_length(stream, length).file_name("audio"))
}

fn endpoint(base: &Url) -> Url {
    let mut url = base.clone();
    let path = base.path().trim_end_matches('/').trim_end_matches("/v1").to_owned();
    url.set_path(&format!("{path}/v1/audio/transcriptions"));
    url
}

fn read(answer: Answer) -> Result<Recognised, String> {
    let segments = answer.segments.ok_or("The recogniser behind the stand-in gave no segments.")?;
    let mut words = answer.words.into_iter().peekable();
    let mut turns = Vec::with_capacity(segments.len());
    for segment in segments {
        let mut heard = Vec::new();
        while let Some(word) = words.next_if(|word| f64::midpoint(word.start, word.end) <= segment.end) {
            let text = word.word.trim().to_owned();
            heard.push(Word { start_ms: milliseconds(word.start), end_ms: milliseconds(word.end), text });
        }
        turns.push(Turn {
            start_ms: heard.first().map_or(milliseconds(segment.start), |word| word.start_ms),
            end_ms: heard.last().map_or(milliseconds(segment.end), |word| word.end_ms),
            text: segment.text.trim().to_owned(),
            channel: segment.speaker.as_deref().map(channel),
            confidence: segment.avg_logprob.map(|log| log.exp().clamp(0.0, 1.0)),
            words: heard,
        });
    }
    turns.retain(|turn| !turn.text.is_empty());
    turns.sort_by_key(|turn| turn.start_ms);
    Ok(Recognised { duration_ms: milliseconds(answer.duration), language: answer.language, turns })
}

/// The recogniser names the channels A and B.
fn channel(speaker: &str) -> usize {
    match speaker.as_bytes() {
        [letter @ b'A'..=b'Z'] => usize::from(letter - b'A') + 1,
        _ => 1,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates; no audio lasts that long"
)]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_go_to_their_segments_and_set_the_times() {
        let answer = json!({"duration": 9.2504, "language": "en", "segments": [
                {"start": 0.0, "end": 4.0, "text": " Hello there.", "avg_logprob": -0.1},
                {"start": 4.0, "end": 9.0, "text": " Bye."}],
            "words": [{"word": "Hello", "start": 1.0, "end": 1.5}, {"word": " there.", "start": 1.5, "end": 2.0},
                {"word": "Bye.", "start": 7.25, "end": 8.0}]});
        let heard = read(serde_json::from_value(answer).unwrap()).unwrap();
        assert_eq!((heard.duration_ms, heard.turns.len()), (9250, 2));
        assert_eq!((heard.turns[0].start_ms, heard.turns[0].end_ms, heard.turns[0].words.len()), (1000, 2000, 2));
        assert_eq!((heard.turns[1].start_ms, heard.turns[1].channel), (7250, None));
    }

    #[test]
    fn an_answer_without_segments_is_an_error() {
        assert!(read(serde_json::from_value(json!({"duration": 1.0, "text": "hm"})).unwrap()).is_err());
    }

    #[test]
    fn the_base_url_may_have_v1_or_not() {
        for base in ["http://127.0.0.1:1", "http://127.0.0.1:1/", "http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1/"] {
            assert_eq!(endpoint(&Url::parse(base).unwrap()).as_str(), "http://127.0.0.1:1/v1/audio/transcriptions");
        }
    }
}
