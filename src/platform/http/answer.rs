//! Answers to requests that make something.

use poem_openapi::{
    ApiResponse,
    payload::Json,
    types::{ToJSON, Type},
};

use super::etag::ETag;

/// Something was made.
#[derive(Debug, ApiResponse)]
pub enum Created<T: Type + ToJSON> {
    /// It was created; or it had been, by the same request under the same idempotency key.
    #[oai(status = 201)]
    Created(
        Json<T>,
        /// Where it is.
        #[oai(header = "Location")]
        String,
        /// Its revision, to be sent back as `If-Match`.
        #[oai(header = "ETag")]
        ETag,
        /// `true` when the answer repeats that of an earlier request.
        #[oai(header = "Idempotency-Replayed")]
        Option<bool>,
    ),
}

impl<T: Type + ToJSON> Created<T> {
    /// The new thing, where it is, and its revision; made just now.
    pub fn at(location: String, etag: ETag, thing: T) -> Self {
        Self::of(false, location, etag, thing)
    }

    /// As [`Created::at`], and whether the request had been answered before.
    pub fn of(replayed: bool, location: String, etag: ETag, thing: T) -> Self {
        Self::Created(Json(thing), location, etag, replayed.then_some(true))
    }
}

/// Something was taken in, and work on it goes on.
#[derive(Debug, ApiResponse)]
pub enum Accepted<T: Type + ToJSON> {
    /// It was taken in and is being worked on; or it had been, by the same request under the same idempotency key.
    #[oai(status = 202)]
    Accepted(
        Json<T>,
        /// Where to look how far it is.
        #[oai(header = "Location")]
        String,
        /// `true` when the answer repeats that of an earlier request.
        #[oai(header = "Idempotency-Replayed")]
        Option<bool>,
    ),
}

impl<T: Type + ToJSON> Accepted<T> {
    /// The thing as it is now, and where to look how far it is.
    pub fn of(replayed: bool, location: String, thing: T) -> Self {
        Self::Accepted(Json(thing), location, replayed.then_some(true))
    }
}
