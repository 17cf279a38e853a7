//! One request that names things of others, and its twin, which names nothing in their places.

use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use crate::support::wav;

/// A value in a request: the one that is tried, and the one that is nobody's.
#[derive(Clone, Debug)]
pub struct Slot {
    pub real: String,
    /// The same as `real` when that is the caller's own.
    pub nothing: String,
}

/// What follows the headers.
#[derive(Clone, Debug)]
pub enum Content {
    Nothing,
    Json(Value),
    /// Bytes that are an archive of a tenant that lives nowhere.
    Archive(Arc<[u8]>),
    /// Bytes that are a recording, by its tone and the twin's.
    Recording {
        tone: u16,
        nothing: u16,
    },
    /// The same with fields before it.
    Form {
        fields: Vec<(String, String)>,
        tone: u16,
        nothing: u16,
    },
}

/// A request whose values stand in slots: texts hold marks, which [`Attempt::rendered`] replaces.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Index of the operation.
    pub operation: usize,
    /// Index of the caller.
    pub caller: usize,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub content: Content,
    pub slots: Vec<Slot>,
}

/// A request as it is sent.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

const BOUNDARY: &str = "zz-part-zz";

/// Where the value of a slot stands.
pub fn mark(slot: usize) -> String {
    format!("\u{1}{slot}\u{2}")
}

impl Attempt {
    /// Whether anything of others is in it.
    pub fn is_foreign(&self) -> bool {
        let sound = match &self.content {
            Content::Recording { tone, nothing } | Content::Form { tone, nothing, .. } => tone != nothing,
            Content::Nothing | Content::Json(_) | Content::Archive(_) => false,
        };
        sound || self.slots.iter().any(|slot| slot.real != slot.nothing)
    }

    /// Which slots hold what is another's: of those the answer's words do not count.
    pub fn foreign_slots(&self) -> Vec<(usize, &str)> {
        let foreign = self.slots.iter().enumerate().filter(|(_, slot)| slot.real != slot.nothing);
        foreign.map(|(n, slot)| (n, slot.nothing.as_str())).collect()
    }

    /// The request, or its twin.
    pub fn rendered(&self, twin: bool) -> Rendered {
        let plain = |text: &str| self.filled(text, twin, str::to_owned);
        let path = self.filled(&self.path, twin, |value| byte_serialize(value.as_bytes()).collect());
        let mut headers: Vec<(String, String)> =
            self.headers.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
        let mut media = |media: &str| headers.push(("content-type".to_owned(), media.to_owned()));
        let sound = |tone: u16, nothing: u16| wav(if twin { nothing } else { tone });
        let body = match &self.content {
            Content::Nothing => vec![],
            Content::Json(body) => {
                media("application/json");
                let escaped = |value: &str| {
                    let quoted = Value::String(value.to_owned()).to_string();
                    quoted[1..quoted.len() - 1].to_owned()
                };
                // The marks are written as escapes in JSON.
                let text = body.to_string().replace("\\u0001", "\u{1}").replace("\\u0002", "\u{2}");
                self.filled(&text, twin, escaped).into_bytes()
            }
            Content::Archive(bytes) => {
                media("application/octet-stream");
                bytes.to_vec()
            }
            Content::Recording { tone, nothing } => {
                media("application/octet-stream");
                sound(*tone, *nothing)
            }
            Content::Form { fields, tone, nothing } => {
                media(&format!("multipart/form-data; boundary={BOUNDARY}"));
                let mut body = vec![];
                for (name, value) in fields {
                    let value = plain(value);
                    let part =
                        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
                    body.extend_from_slice(part.as_bytes());
                }
                let head =
                    "Content-Disposition: form-data; name=\"audio\"; filename=\"a.wav\"\r\nContent-Type: audio/wav";
                body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
                body.extend_from_slice(&sound(*tone, *nothing));
                body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
                body
            }
        };
        Rendered { path, headers, body }
    }

    fn filled(&self, text: &str, twin: bool, written: impl Fn(&str) -> String) -> String {
        if !text.contains('\u{1}') {
            return text.to_owned();
        }
        let mut text = text.to_owned();
        for (n, slot) in self.slots.iter().enumerate() {
            text = text.replace(&mark(n), &written(if twin { &slot.nothing } else { &slot.real }));
        }
        text
    }

    /// Whether it carries a recording or an archive, for which the object store is looked at.
    pub fn stores(&self) -> bool {
        matches!(self.content, Content::Recording { .. } | Content::Form { .. } | Content::Archive(_))
    }
}

impl Rendered {
    /// For reports, and to tell whether an answer only says what was sent.
    pub fn text(&self, method: &Method) -> String {
        let mut text = format!("{method} {}", self.path);
        for (name, value) in &self.headers {
            text.push_str(&format!("\n{name}: {value}"));
        }
        // A form's fields come before its recording.
        let body = &self.body[..self.body.len().min(20_000)];
        text.push_str("\n\n");
        text.extend(String::from_utf8_lossy(body).chars().filter(|c| !c.is_control() && *c != '\u{fffd}'));
        text
    }
}
