//! Scorecards: what an organization's calls are judged by, drafted, published, and never changed afterwards.

pub mod model;
