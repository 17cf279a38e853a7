//! All tenants at once: their schemas brought to the newest version, and how they stand.

pub mod api;
mod model;
mod run;
mod status;
mod store;

pub use self::{
    model::{
        Canary, Drift, FleetError, FleetOptions, MigrationPlan, PlannedStep, Seen, StatusFilter, Summary,
        TenantFailure, TenantState, Version,
    },
    run::migrate,
    status::{expected_fingerprint, fingerprint, plan, status},
};
