//! The answer to a request that made something.

use poem_openapi::{
    ApiResponse,
    payload::Json,
    types::{ToJSON, Type},
};

use super::ETag;

/// One thing that was just made.
#[derive(Debug, ApiResponse)]
pub enum Created<T: Type + ToJSON> {
    /// Made; the thing as it is now.
    #[oai(status = 201)]
    Made(
        Json<T>,
        /// Where the thing is.
        #[oai(header = "Location")]
        String,
        /// Its revision, to be sent back as `If-Match`.
        #[oai(header = "ETag")]
        ETag,
    ),
}

impl<T: Type + ToJSON> Created<T> {
    /// The thing, at its path, with its tag.
    pub fn at(location: String, etag: ETag, thing: T) -> Self {
        Self::Made(Json(thing), location, etag)
    }
}
