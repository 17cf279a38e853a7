//! Plugins as a tenant has them: versions with their reports, their use by organizations, and what their runs came to. What runs them is
//! [`crate::platform::plugins`].

pub mod api;
pub mod beside;
pub mod binding;
pub mod bindings;
pub mod comparison;
mod error;
pub mod model;
pub mod runs;
mod settings;
pub mod statistics;
mod store;
pub mod versions;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use object_store::ObjectStore;
use tokio::sync::Semaphore;

pub use self::{
    error::PluginsError,
    store::{BindingFilter, VersionFilter},
};
use crate::{
    foundation::clock::Clock,
    platform::{db::Db, plugins::PluginHost, tenancy::Tenants},
};

/// Components that are validated at once in one process; further uploads wait. Each is held in memory whole meanwhile.
const VALIDATIONS: usize = 2;

/// What the operations on plugins need.
#[derive(Clone)]
pub struct Plugins {
    /// The door to data.
    pub db: Arc<Db>,
    /// What tenants may use.
    pub tenants: Arc<Tenants>,
    /// The time.
    pub clock: Clock,
    /// Where components lie.
    pub objects: Arc<dyn ObjectStore>,
    /// Where they run.
    pub host: Arc<PluginHost>,
    /// How long a client that uploads one may be silent.
    pub idle: Duration,
    validations: Arc<Semaphore>,
}

impl Plugins {
    /// Operations behind the door, over these objects and this host.
    pub fn new(
        db: Arc<Db>,
        tenants: Arc<Tenants>,
        clock: Clock,
        objects: Arc<dyn ObjectStore>,
        host: Arc<PluginHost>,
        idle: Duration,
    ) -> Self {
        Self { db, tenants, clock, objects, host, idle, validations: Arc::new(Semaphore::new(VALIDATIONS)) }
    }

    fn place(&self) -> Place<'_> {
        Place { db: &self.db, objects: self.objects.as_ref(), host: &self.host }
    }

    /// As PostgreSQL keeps it: in microseconds.
    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }
}

/// Where plugins are kept and run.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The door to data.
    pub db: &'a Db,
    /// Where components lie.
    pub objects: &'a dyn ObjectStore,
    /// Where they run.
    pub host: &'a PluginHost,
}
