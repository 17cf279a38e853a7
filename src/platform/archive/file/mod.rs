//! The archive as a file: a tar in one Zstandard frame, sealed by a digest of all its bytes. docs/ARCHIVES.md describes it for others.
//!
//! Nothing of an archive is believed before it was read to its end: [`Reader::next`] gives `None` only after the seal, the manifest and
//! every digest in it have been held against what was read.

mod format;
mod reader;
mod seal;
mod writer;

pub use self::{
    format::{ArchivedTenant, Entry, FORMAT, Header, Manifest, ObjectsSummary, RowsSummary, TableSummary, is_key},
    reader::{Limits, Part, Reader},
    seal::{SEAL_BYTES, unsealed},
    writer::{Part as Written, Writer},
};

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is damaged, incomplete, or none.
    #[error("{0}")]
    Invalid(String),
    /// It was made by a newer version.
    #[error("the archive is of {what} {found}; this version reads up to {known}")]
    TooNew {
        /// What is newer: the format or the schema.
        what: &'static str,
        /// What the archive has.
        found: i64,
        /// What this version knows.
        known: i64,
    },
    /// It could not be read or written: nothing is known about the archive itself.
    #[error("the archive could not be read or written: {0}")]
    Io(std::io::Error),
}

/// The source of an archive failed, which says nothing about the archive.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SourceFailed(std::io::Error);

impl FileError {
    fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    /// What an error of the chain of decoders says: that the source failed, or that the bytes are no archive's.
    fn of_reading(error: std::io::Error) -> Self {
        match error.downcast::<SourceFailed>() {
            Ok(failed) => Self::Io(failed.0),
            Err(error) => Self::Invalid(format!("the archive is damaged or cut short: {error}")),
        }
    }
}
