//! The operator's process: it alone has the owner's credential, and does the steps of operations on whole tenants.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::App;
use crate::platform::{
    archive::{Archives, CloneTenant, ExportTenant, RestoreTenant},
    lifecycle::{OffBoard, Provision, Tools},
    operations::{Procedure, Runner},
};

/// Operations that one process does at once.
const CONCURRENCY: usize = 4;

impl App {
    /// What does operations. `owner` connects as the owner of Plumbline's schemas.
    pub fn runner(&self, owner: &tokio_postgres::Config) -> Runner {
        let procedures = procedures(&self.tools(owner), &self.archives(owner));
        Runner::new(self.db.clone(), self.clock.clone(), CONCURRENCY, procedures)
    }

    /// What archives are made with.
    pub fn archives(&self, owner: &tokio_postgres::Config) -> Archives {
        Archives { owner: owner.clone(), objects: self.objects.clone(), keep_days: self.config.archives.keep_days }
    }

    /// What procedures work with.
    pub fn tools(&self, owner: &tokio_postgres::Config) -> Tools {
        Tools {
            owner: owner.clone(),
            objects: self.objects.clone(),
            staging: self.staging(),
            tenants: self.tenants.clone(),
            issuers: self.issuers.clone(),
            operator_issuer: self.config.identity.operator_issuer.clone(),
        }
    }

    /// Works off operations until `stop`.
    pub async fn operate(&self, owner: &tokio_postgres::Config, stop: CancellationToken) {
        Arc::new(self.runner(owner)).run(stop).await;
    }
}

/// All that is done to whole tenants.
fn procedures(tools: &Tools, archives: &Archives) -> Vec<Arc<dyn Procedure>> {
    vec![
        Arc::new(Provision(tools.clone())),
        Arc::new(OffBoard(tools.clone())),
        Arc::new(ExportTenant(archives.clone())),
        Arc::new(RestoreTenant(archives.clone())),
        Arc::new(CloneTenant(archives.clone())),
    ]
}
