//! What follows from a score. Recommendations, alerts and webhooks will hang here; until then it is the place where a call is done.

use std::sync::Arc;

use futures_util::TryFutureExt;

use super::{FollowUpCall, Means, bury, grant};
use crate::platform::{
    audit::audit,
    db::DbError,
    jobs::{self, Handler, Job, JobError, Lease},
};

pub(super) struct FollowUp(pub(super) Arc<Means>);

#[async_trait::async_trait]
impl Handler for FollowUp {
    fn kind(&self) -> &'static str {
        FollowUpCall::KIND
    }

    async fn run(&self, lease: &Lease) -> Result<(), JobError> {
        let call_id = lease.job::<FollowUpCall>()?.call_id;
        let grant = grant(lease);
        self.0
            .db
            .tenant(&grant, "follow_up.record", async |tx| {
                let details = serde_json::json!({});
                tokio::try_join!(
                    biased; // the first refusal is the one to tell: after it, the others only say that the transaction is over
                    jobs::finish(tx, lease),
                    audit(tx, "call.evaluated", "call", Some(call_id.0), lease.organization, details).err_into(),
                )?;
                Ok(())
            })
            .await
    }

    /// The score stands whatever happens to what follows from it; the dead job shows.
    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError> {
        bury(&self.0, lease, error).await
    }
}
