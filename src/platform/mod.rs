//! What every feature stands on.

pub mod archive;
pub mod audit;
pub mod db;
pub mod fleet;
pub mod http;
pub mod identity;
pub mod isolation;
pub mod jobs;
pub mod lifecycle;
pub mod operations;
pub mod plugins;
pub mod providers;
pub mod staging;
pub mod tenancy;
