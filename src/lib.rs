//! Plumbline: call recordings become scores that anybody can re-compute.
//!
//! Four floors; a lower one never imports an upper one (tests/it/layering.rs holds the rule).

/// Composition root: settings in, a running application out.
pub mod app;
/// The demo: its conversations, its report, and the stand-ins and private servers that demo and tests share.
pub mod demo;
/// Ids, time, settings, who may do what. No database, no network.
pub mod foundation;
/// The order of the stages, and nothing else.
pub mod pipeline;
/// What every feature stands on: the door to data, HTTP manners, providers, tenants, identity, jobs, plugins.
pub mod platform;
/// One room per feature that a user would name.
pub mod product;
/// The OpenAPI service, Swagger UI and middleware.
pub mod server;
/// A scorecard on trial: written conversations in a private database, against labels.
pub mod trial;
