//! Evaluations: a scorecard version applied to a call, so that anybody can follow and re-compute the score.
//!
//! The way of an answer: [`prompt`] asks, under a [`schema`], a long call in [`parts`]; [`answer`] reads what the language model said; [`evidence`] holds every quote
//! against the transcript; [`rules`] answer what needs no model; [`conditions`] take out what is not asked; [`questions`] is the whole of that, once
//! for the pipeline and once for who computes it again, and what takes long is computed [`beside`] the threads that serve; [`scoring`] turns the verdicts into scores by exact [`arithmetic`], or lets the
//! organization's plugin do it;
//! [`insights`] says what follows; [`receipt`] keeps the digests of everything that went in. [`store`] writes it down for the stages.
//! [`replay`] tries plugins by hand, and changes nothing.
//! [`rescore`] applies another scorecard version to many calls, and [`reuse`]s the answers that still stand; those of people are [`carry`]ed.
//! [`backtest`] lets a plugin version score many stored evaluations, and changes none.

pub mod answer;
pub mod api;
pub mod arithmetic;
pub mod backtest;
pub mod beside;
pub mod carry;
pub mod conditions;
pub mod cost;
pub mod evidence;
pub mod human;
pub mod insights;
pub mod memory;
pub mod model;
pub mod parts;
pub mod prompt;
pub mod questions;
pub mod quote_checks;
pub mod reading;
pub mod receipt;
pub mod replay;
pub mod rescore;
pub mod reuse;
pub mod rules;
#[cfg(test)]
mod samples;
pub mod schema;
pub mod scoring;
pub mod spending;
pub mod store;
pub mod words;
