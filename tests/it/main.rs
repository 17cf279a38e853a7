//! The integration tests: one binary, a file per room. They need PostgreSQL's server binaries and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says so by ending")]

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod authz;
mod baseline;
mod calls;
mod cli;
mod demo;
mod dialogues;
mod door;
mod hostile;
mod idempotency;
mod identity;
mod isolation;
mod jobs;
mod layering;
mod lists;
mod long_requests;
mod openapi;
mod operations;
mod outage;
mod pipeline;
mod plugins;
mod providers;
mod s3;
mod scorers;
mod speech;
mod sql;
mod uploads;
