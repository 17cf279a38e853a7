//! A speech provider's report that a transcription has ended. It is a hint and proves nothing: it pulls the waiting job forward, and the job asks
//! the provider itself.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use poem_openapi::{
    ApiResponse, OpenApi, Tags,
    param::{Header, Query},
};
use secrecy::SecretString;
use url::Url;

use super::TranscribeCall;
use crate::{
    foundation::{
        access::{Grant, Permission},
        clock::Clock,
        ids::{CallId, OrganizationId, TenantId},
    },
    platform::{
        db::{Db, newest_tenant_version},
        http::Refusal,
        identity::AuthError,
        jobs::{self, Lease, Wake},
        providers::speech::Webhook,
        tenancy::{Tenants, Unserved},
    },
    product::calls,
};

/// The header in which the provider brings the secret of this one piece of work.
const HEADER: &str = "X-Plumbline-Webhook";
const PATH: &str = "/api/webhooks/transcriptions";

/// Where and how a provider may report the end of a call's transcription.
pub(super) fn of(public_url: &Url, lease: &Lease, call_id: CallId) -> Webhook {
    let mut url = public_url.clone();
    url.set_path(&format!("{}{PATH}", public_url.path().trim_end_matches('/')));
    url.query_pairs_mut()
        .append_pair("tenant_id", &lease.tenant.to_string())
        .append_pair("organization_id", &lease.organization.to_string())
        .append_pair("call_id", &call_id.to_string());
    let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    Webhook { url, header_name: HEADER.to_owned(), secret: SecretString::from(secret) }
}

#[derive(Tags)]
enum Tag {
    /// What providers report to us.
    Webhooks,
}

/// What providers report to us.
pub struct WebhooksApi {
    /// The door to data.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Clock,
    /// Who the tenants are.
    pub tenants: Arc<Tenants>,
    /// Workers are told.
    pub wake: Wake,
}

#[derive(ApiResponse)]
enum Noted {
    /// Noted.
    #[oai(status = 204)]
    Noted,
}

#[OpenApi(prefix_path = "/api/webhooks", tag = "Tag::Webhooks")]
impl WebhooksApi {
    /// Report the end of a transcription
    ///
    /// For the speech provider, which was given the address and a secret for this one piece of work; no bearer token. Whatever does not fit is 404. While the tenant is
    /// suspended, 403: the provider need not try again.
    #[oai(path = "/transcriptions", method = "post", operation_id = "report_transcription")]
    async fn report_transcription(
        &self,
        tenant_id: Query<TenantId>,
        organization_id: Query<OrganizationId>,
        call_id: Query<CallId>,
        /// The secret of this piece of work.
        #[oai(name = "X-Plumbline-Webhook")]
        secret: Header<String>,
    ) -> Result<Noted, Refusal> {
        let unknown = || Refusal::not_found("transcription");
        let tenant = self.tenants.by_id(tenant_id.0).await?.ok_or_else(unknown)?;
        // Nothing is lost by a refusal: the job that waits asks the provider itself, as soon as the tenant is served again. Whose schema this
        // server does not know is not looked at, and answered as if there were none.
        let newest = newest_tenant_version();
        let suspended = tenant.serve(newest) == Err(Unserved::Suspended) && tenant.schema_version >= newest;
        if tenant.serve(newest).is_err() && !suspended {
            return Err(unknown());
        }
        let grant = reporting(tenant.tenant_id, tenant.root_organization_id, organization_id.0);
        let running = calls::store::find_transcription(&self.db.alone(&grant), call_id.0).await?;
        let expected = running.and_then(|running| running.webhook_secret).ok_or_else(unknown)?;
        verify_slices_are_equal(expected.as_bytes(), secret.0.as_bytes()).map_err(|_| unknown())?;
        if suspended {
            return Err(AuthError::from(Unserved::Suspended).into()); // told to whoever has the secret alone
        }
        let job = TranscribeCall { call_id: call_id.0 };
        jobs::pull_forward(&self.db.alone(&grant), &job, self.clock.now()).await?;
        self.wake.wake();
        Ok(Noted::Noted)
    }
}

/// Leave to look at one organization's running transcriptions, before the secret is compared; nothing is shown.
#[allow(
    clippy::disallowed_methods,
    reason = "the secret of the work is the proof, and it is compared before anything is done"
)]
fn reporting(tenant: TenantId, root: OrganizationId, organization: OrganizationId) -> Grant {
    Grant::system(tenant, root, organization, "webhook", Permission::EvaluateCalls)
}
