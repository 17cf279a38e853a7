//! No database, no network: knows nothing above it.

pub mod access;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod digest;
pub mod ids;
pub mod words;
