//! Plugins as a tenant has them: versions, and their use by organizations. What runs them is [`crate::platform::plugins`].

pub mod binding;
pub mod comparison;
pub mod model;
pub mod runs;
