//! One room per feature that a user would name.

pub mod calls;
pub mod evaluations;
pub mod plugins;
pub mod scorecards;
