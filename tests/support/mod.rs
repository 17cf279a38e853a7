//! What the integration tests stand on: one private PostgreSQL, a database for each test, and the whole application over real HTTP.

pub mod adversary;
mod app;
pub mod attacks;
mod client;
mod database;
mod golden;
mod outside;
mod samples;

pub use self::{
    app::{TestApp, TestTenant},
    client::{Answer, Client},
    database::{Database, fresh, unmigrated},
    golden::golden,
    outside::{Outside, skipped},
    samples::{WAV_HEADER_BYTES, conversation, scorecard, stereo_wav, wav},
};
