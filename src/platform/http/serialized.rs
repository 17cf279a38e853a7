//! JSON that serde writes straight from the value. poem-openapi's own payload builds a document of the whole answer first, and for a page of a
//! list that was more than half of the server's work.

use std::fmt::{self, Write};

use chrono::{DateTime, Datelike, Timelike, Utc};
use poem::{IntoResponse, Response, http::header};
use poem_openapi::{
    ApiResponse,
    payload::{Json, Payload},
    registry::{MetaResponses, MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};
use serde::{Serialize, Serializer};

use super::problem::Refusal;

/// What is made room for at once; a page of 50 calls takes about 25 KB.
const USUAL_BYTES: usize = 8 * 1024;

/// A JSON body whose type says by `Serialize` what it says by `ToJSON`: builds with debug assertions, such as those of the tests, compare both
/// in every answer.
#[derive(Debug)]
pub struct Serialized<T>(pub T);

impl<T: Type> Payload for Serialized<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        Json::<T>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ToJSON + Serialize> IntoResponse for Serialized<T> {
    fn into_response(self) -> Response {
        debug_assert_eq!(serde_json::to_value(&self.0).ok(), self.0.to_json(), "both say the same");
        let mut body = Vec::with_capacity(USUAL_BYTES);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => Response::builder().header(header::CONTENT_TYPE, Self::CONTENT_TYPE).body(body),
            Err(error) => Refusal::internal(&error).response(),
        }
    }
}

impl<T: ToJSON + Serialize> ApiResponse for Serialized<T> {
    fn meta() -> MetaResponses {
        Json::<T>::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A time as `ToJSON` spells it, for `#[serde(serialize_with)]`.
pub fn time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = Text { bytes: [0; LONGEST], length: 0 };
    match spell(*time, &mut text) {
        Ok(()) => serializer.serialize_str(text.as_str()),
        Err(fmt::Error) => serializer.serialize_str(&time.to_rfc3339()), // of a year with more digits
    }
}

/// The same for a time that may be absent.
pub fn optional_time<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(at) => self::time(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// RFC 3339 with as many digits as the time has, by thousands, as chrono writes it; a page of calls has two hundred times.
fn spell(time: DateTime<Utc>, text: &mut Text) -> fmt::Result {
    let year = u32::try_from(time.year()).map_err(|_| fmt::Error)?;
    text.digits(year, 4)?;
    for (separator, value) in [
        (b'-', time.month()),
        (b'-', time.day()),
        (b'T', time.hour()),
        (b':', time.minute()),
        (b':', time.second() + time.nanosecond() / 1_000_000_000), // chrono keeps a leap second there
    ] {
        text.byte(separator)?;
        text.digits(value, 2)?;
    }
    let nanoseconds = time.nanosecond() % 1_000_000_000;
    if nanoseconds > 0 {
        text.byte(b'.')?;
        match (nanoseconds % 1_000_000, nanoseconds % 1_000) {
            (0, _) => text.digits(nanoseconds / 1_000_000, 3)?,
            (_, 0) => text.digits(nanoseconds / 1_000, 6)?,
            _ => text.digits(nanoseconds, 9)?,
        }
    }
    text.write_str("+00:00")
}

/// The longest of the texts that are spelt: with nanoseconds.
const LONGEST: usize = "2026-11-23T09:00:00.123456789+00:00".len();

/// A short text of ASCII that costs no allocation.
struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Text {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    fn byte(&mut self, byte: u8) -> fmt::Result {
        *self.bytes.get_mut(self.length).ok_or(fmt::Error)? = byte;
        self.length += 1;
        Ok(())
    }

    /// The value with leading zeros; an error when it has more digits.
    fn digits(&mut self, mut value: u32, width: usize) -> fmt::Result {
        let digits = self.bytes.get_mut(self.length..self.length + width).ok_or(fmt::Error)?;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
        self.length += width;
        if value == 0 { Ok(()) } else { Err(fmt::Error) }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.byte(byte))
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::Object;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Object, Serialize)]
    struct Seen {
        #[serde(serialize_with = "time")]
        at: DateTime<Utc>,
        #[serde(serialize_with = "optional_time")]
        ended_at: Option<DateTime<Utc>>,
        score: Option<f64>,
    }

    proptest! {
        #[test]
        fn times_are_spelt_as_chrono_does(seconds in -70_000_000_000_i64..260_000_000_000, nanoseconds in 0..1_999_999_999_u32, digits in 0..9_u32) {
            let cut = 10_u32.pow(digits);
            if let Some(at) = DateTime::from_timestamp(seconds, nanoseconds / cut * cut) {
                let written = serde_json::to_value(Seen { at, ended_at: Some(at), score: None }).expect("JSON");
                prop_assert_eq!(written, json!({"at": at.to_rfc3339(), "ended_at": at.to_rfc3339(), "score": null}));
            }
        }
    }

    #[tokio::test]
    async fn the_answer_is_the_one_of_the_usual_payload() {
        let seen = || Seen { at: DateTime::UNIX_EPOCH, ended_at: None, score: Some(12.0) };
        let (fast, usual) = (Serialized(seen()).into_response(), Json(seen()).into_response());
        assert_eq!((fast.status(), fast.headers()), (usual.status(), usual.headers()));
        let (fast, usual) = (fast.into_body().into_vec().await, usual.into_body().into_vec().await);
        assert_eq!(fast.expect("a body"), usual.expect("a body"));
    }
}
