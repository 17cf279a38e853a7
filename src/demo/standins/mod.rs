//! Stand-ins.
pub mod judge;
