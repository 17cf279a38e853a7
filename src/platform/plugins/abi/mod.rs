//! The border between plain types and a component, a module per version of the contract (`wit/`).

pub(super) mod v1;
