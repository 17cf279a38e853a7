//! The integration tests: one binary, a file per room. They need PostgreSQL's server binaries and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says so by ending")]

#[path = "../support/mod.rs"]
mod support;

mod adversary;
mod archive;
mod assess;
mod authz;
mod baseline;
mod calls;
mod carry;
mod cli;
mod cli_archive;
mod cli_life;
mod cli_try;
mod crash;
mod demo;
mod dialogues;
mod door;
mod dump;
mod fleet;
mod hostile;
mod idempotency;
mod identity;
mod isolation;
mod isolation_report;
mod jobs;
mod lanes;
mod layering;
mod lifecycle;
mod lists;
mod long_requests;
mod off_boarding;
mod openapi;
mod operations;
mod outage;
mod pipeline;
mod plugins;
mod providers;
mod quotas;
mod real_speech;
mod receipts;
mod redaction;
mod rescore;
mod reuse;
mod s3;
mod scorecards;
mod scorers;
mod speech;
mod speech_faults;
mod sql;
mod sql_rules;
mod sql_texts;
mod suspension;
mod uploads;
