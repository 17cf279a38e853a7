//! The operator's process: it alone has the owner's credential, and does the steps of operations on whole tenants.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::App;
use crate::platform::{
    archive::{Archives, CloneTenant, ExportTenant, RestoreTenant},
    lifecycle::Tools,
    operations::{Procedure, Runner},
};

/// Operations that one process does at once.
const CONCURRENCY: usize = 4;

impl App {
    /// What does operations. `owner` connects as the owner of Plumbline's schemas.
    pub fn runner(&self, owner: &tokio_postgres::Config) -> Runner {
        let tools = Tools { owner: owner.clone(), objects: self.objects.clone(), tenants: self.tenants.clone() };
        let archives =
            Archives { owner: owner.clone(), objects: self.objects.clone(), keep_days: self.config.archives.keep_days };
        Runner::new(self.db.clone(), self.clock.clone(), CONCURRENCY, procedures(&tools, &archives))
    }

    /// Works off operations until `stop`.
    pub async fn operate(&self, owner: &tokio_postgres::Config, stop: CancellationToken) {
        Arc::new(self.runner(owner)).run(stop).await;
    }
}

/// All that is done to whole tenants.
fn procedures(tools: &Tools, archives: &Archives) -> Vec<Arc<dyn Procedure>> {
    let _ = tools;
    vec![
        Arc::new(ExportTenant(archives.clone())),
        Arc::new(RestoreTenant(archives.clone())),
        Arc::new(CloneTenant(archives.clone())),
    ]
}
