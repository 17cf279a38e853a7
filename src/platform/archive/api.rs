//! `/api/tenants/…`: asking for archives, restorations and clones, and fetching an archive.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange, ObjectStore, path::Path as ObjectPath};
use poem::Body;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::{Binary, Json},
};
use serde_json::json;

use super::{
    ArchiveError,
    cloning::{self, AskedClone},
    export::{self, Options, Summary},
    export_key, import_key, restore, store,
};
use crate::{
    foundation::{
        access::{OperatorGrant, Permission, Principal, TenantGrant},
        clock::Clock,
        ids::{OperationId, TenantId},
    },
    platform::{
        audit::{PlatformEvent, audit, audit_platform},
        db::{Db, DbError, InTenant, PlatformTx},
        http::{Accepted, ETag, FileAnswer, Kind, Measured, Problem, Refusal, UploadError, range, request_id},
        lifecycle::model::{check_issuer, check_name, check_slug},
        operations::{self, NewOperation, OperationStatus, api::OperationView},
        tenancy::InvalidField,
    },
};

#[derive(Tags)]
enum Tag {
    /// All that a tenant has as one file, tenants made of such files, and masked copies.
    Archives,
}

/// The operations on archives.
pub struct ArchivesApi {
    /// The door to data.
    pub db: Arc<Db>,
    /// The time.
    pub clock: Clock,
    /// Where archives lie.
    pub objects: Arc<dyn ObjectStore>,
    /// The largest archive that is taken in.
    pub max_bytes: u64,
    /// How long a client that sends one may be silent.
    pub idle: Duration,
    /// The operators' own issuer, which is no tenant's.
    pub operator_issuer: Option<String>,
}

/// A masked copy of a tenant.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct CloneRequest {
    /// Its short name: 2 to 40 lower-case letters, digits and hyphens, beginning with a letter.
    #[oai(validator(max_length = 40))]
    slug: String,
    /// Its name.
    #[oai(validator(max_length = 200))]
    name: String,
    /// The OIDC issuer whose tokens are its.
    #[oai(validator(max_length = 500))]
    issuer: String,
}

#[OpenApi(prefix_path = "/api/tenants", tag = "Tag::Archives")]
impl ArchivesApi {
    /// Export a tenant
    ///
    /// All that it has, as one archive: rows of one moment, recordings, plugins, jobs and the audit log, with a manifest of digests and counts.
    /// Operators and the tenant's admin ask for it; the admin fetches it. It is possible until a leaving tenant's data is destroyed.
    #[oai(path = "/:tenant_id/exports", method = "post", operation_id = "export_tenant")]
    async fn export_tenant(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        /// Go on when the object store lacks an object that a row names; the manifest lists it.
        #[oai(default)]
        allow_missing_objects: Query<bool>,
    ) -> Result<Accepted<OperationView>, Refusal> {
        let options = Options { allow_missing_objects: allow_missing_objects.0 };
        let id = match principal.about(tenant_id.0, Permission::ExportTenant)? {
            TenantGrant::Operator(grant) => self.export_from_outside(&grant, tenant_id.0, options).await?,
            TenantGrant::Member(grant) => {
                self.db
                    .tenant(&grant, "archive.export", async |tx| {
                        let new = exporting(grant.actor(), (grant.tenant(), tx.root()), options, self.clock.now());
                        let id = operations::start(tx, &new, self.clock.now()).await.map_err(taken)?;
                        let details = json!({ "operation_id": id });
                        audit(tx, "tenant.export_requested", "tenant", Some(grant.tenant().0), tx.root(), details)
                            .await?;
                        Ok::<_, Refusal>(id)
                    })
                    .await?
            }
        };
        self.accepted(&principal, id).await
    }

    /// Fetch an archive
    ///
    /// The tenant's admin alone: it holds every call. Parts by `Range`. 404 before the export has succeeded, and after the archive's time
    /// (`result.archive.expires_at` of the operation).
    #[oai(path = "/:tenant_id/exports/:operation_id/archive", method = "get", operation_id = "download_archive")]
    async fn download_archive(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        operation_id: Path<OperationId>,
        /// Which bytes: `bytes=0-1023`, `bytes=1024-`, `bytes=-512`.
        #[oai(name = "Range")]
        wanted: Header<Option<String>>,
    ) -> Result<FileAnswer, Refusal> {
        let absent = || Refusal::not_found("archive");
        let TenantGrant::Member(grant) = principal.about(tenant_id.0, Permission::DownloadArchives)? else {
            return Err(Refusal::new(Kind::Forbidden, "archives are the tenant's own"));
        };
        let operation = operations::find(&self.db.alone(&grant), operation_id.0).await?.ok_or_else(absent)?;
        let own = operation.tenant_id == Some(grant.tenant()) && operation.kind == "export_tenant";
        if !own || operation.status != OperationStatus::Succeeded {
            return Err(absent());
        }
        let archive = operation.result.get("archive").cloned().ok_or_else(absent)?;
        let archive: Summary =
            serde_json::from_value(archive).map_err(|source| DbError::Stored { what: "archive", source })?;
        if store::has_expired(archive.expires_at, self.clock.now()) {
            return Err(absent());
        }
        let slice = range::slice(wanted.0.as_deref(), archive.size_bytes)?;
        let part = GetOptions { range: Some(GetRange::Bounded(slice.bytes())), ..GetOptions::default() };
        let key = ObjectPath::from(export_key(grant.tenant(), operation.operation_id));
        let object = match self.objects.get_opts(&key, part).await {
            Err(object_store::Error::NotFound { .. }) => return Err(absent()),
            other => other.map_err(ArchiveError::from)?,
        };
        self.db
            .tenant(&grant, "archive.download", async |tx| {
                let details = json!({ "from_byte": slice.bytes().start, "bytes": slice.length() });
                let subject = Some(operation.operation_id.0);
                audit(tx, "archive.downloaded", "operation", subject, tx.root(), details).await
            })
            .await?;
        let bytes = object.into_stream().map(|piece| piece.map_err(std::io::Error::other));
        Ok(FileAnswer::of(slice, bytes.boxed(), "application/zstd", ETag::of_digest(&archive.sha256)))
    }

    /// Restore a tenant
    ///
    /// Makes a tenant of an archive, which is the body. Rows and objects keep their ids, so the archive's tenant must not live here: 409 then,
    /// and a clone is what helps. The tenant is active after every digest and count was verified; of an archive that is damaged nothing stays.
    #[oai(path = "/restores", method = "post", operation_id = "restore_tenant")]
    async fn restore_tenant(
        &self,
        principal: Principal,
        /// The new tenant's short name: 2 to 40 lower-case letters, digits and hyphens, beginning with a letter.
        #[oai(validator(max_length = 40))]
        slug: Query<String>,
        /// Its name; the archived tenant's when absent.
        #[oai(validator(max_length = 200))]
        name: Query<Option<String>>,
        /// The OIDC issuer whose tokens are its.
        #[oai(validator(max_length = 500))]
        issuer: Query<String>,
        archive: Binary<Body>,
    ) -> Result<Accepted<OperationView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        self.check(&slug.0, name.0.as_deref(), &issuer.0)?;
        store::check_free(&self.db.operator_alone(&grant), None, &slug.0, &issuer.0).await?;
        let tenant = TenantId::new();
        let bytes = Measured::new(archive.0.into_bytes_stream().boxed(), self.max_bytes);
        let header = restore::receive(&self.objects, tenant, unless_silent(bytes, self.idle)).await?;
        let name = name.0.unwrap_or_else(|| header.tenant.name.clone());
        let asked = restore::Asked { slug: slug.0, name, issuer: issuer.0 };
        let now = self.clock.now();
        let started = self
            .db
            .operator(&grant, "archive.restore", async |tx| {
                let id = restore::start(tx, tenant, &header, &asked, grant.actor(), now).await?;
                self.note(tx, &grant, "tenant.restore_requested", tenant, id).await?;
                Ok::<_, Refusal>(id)
            })
            .await;
        match started {
            Ok(id) => self.accepted(&principal, id).await,
            Err(refusal) => {
                let key = import_key(tenant);
                restore::delete(self.objects.as_ref(), &key).await.map_err(ArchiveError::from)?;
                Err(refusal)
            }
        }
    }

    /// Clone a tenant
    ///
    /// A copy to try things on, with ids of its own. Names, words, quotes and whatever else people said or are called are masked; recordings,
    /// whose voices cannot be masked, and jobs are not copied. Receipts in it say that they are masked.
    #[oai(path = "/:tenant_id/clone", method = "post", operation_id = "clone_tenant")]
    async fn clone_tenant(
        &self,
        principal: Principal,
        tenant_id: Path<TenantId>,
        body: Json<CloneRequest>,
    ) -> Result<Accepted<OperationView>, Refusal> {
        let grant = principal.operator(Permission::ManageTenants)?;
        let CloneRequest { slug, name, issuer } = body.0;
        self.check(&slug, Some(&name), &issuer)?;
        let asked = AskedClone { from_tenant_id: tenant_id.0, slug, name, issuer };
        let now = self.clock.now();
        let id = self
            .db
            .operator(&grant, "archive.clone", async |tx| {
                let (tenant, id) = cloning::start(tx, &asked, grant.actor(), now).await?;
                self.note(tx, &grant, "tenant.clone_requested", tenant, id).await?;
                Ok::<_, Refusal>(id)
            })
            .await?;
        self.accepted(&principal, id).await
    }
}

impl ArchivesApi {
    async fn export_from_outside(
        &self,
        grant: &OperatorGrant,
        tenant: TenantId,
        options: Options,
    ) -> Result<OperationId, Refusal> {
        let now = self.clock.now();
        self.db
            .operator(grant, "archive.export", async |tx| {
                let found = store::find(tx, tenant).await?.ok_or_else(|| Refusal::not_found("tenant"))?;
                found.has_data()?;
                let about = (tenant, found.root_organization_id);
                let new = exporting(grant.actor(), about, options, now);
                let id = operations::start(tx, &new, now).await.map_err(taken)?;
                self.note(tx, grant, "tenant.export_requested", tenant, id).await?;
                Ok(id)
            })
            .await
    }

    fn check(&self, slug: &str, name: Option<&str>, issuer: &str) -> Result<(), Refusal> {
        let checked = check_slug(slug)
            .and_then(|()| name.map_or(Ok(()), check_name))
            .and_then(|()| check_issuer(issuer, self.operator_issuer.as_deref()));
        checked.map_err(|InvalidField { field, message }| Refusal::invalid(field, message))
    }

    async fn note(
        &self,
        tx: &PlatformTx<'_>,
        grant: &OperatorGrant,
        action: &str,
        tenant: TenantId,
        operation: OperationId,
    ) -> Result<(), DbError> {
        let event = PlatformEvent {
            actor: grant.actor(),
            action,
            subject_kind: "tenant",
            subject_id: Some(tenant.0),
            tenant_id: Some(tenant),
            request_id: request_id::current(),
            details: json!({ "operation_id": operation }),
            now: self.clock.now(),
        };
        audit_platform(tx, &event).await
    }

    async fn accepted(&self, principal: &Principal, id: OperationId) -> Result<Accepted<OperationView>, Refusal> {
        let found = match principal {
            Principal::Operator(operator) => {
                let grant = operator.may(Permission::ReadTenant)?;
                operations::find(&self.db.operator_alone(&grant), id).await?
            }
            Principal::Caller(caller) => {
                let grant = caller.may(Permission::ReadTenant)?;
                operations::find(&self.db.alone(&grant), id).await?
            }
        };
        let operation = found.ok_or_else(|| Refusal::not_found("operation"))?;
        Ok(Accepted::of(false, format!("/api/operations/{id}"), operation.into()))
    }
}

fn exporting(
    actor: &str,
    about: (TenantId, crate::foundation::ids::OrganizationId),
    options: Options,
    now: chrono::DateTime<chrono::Utc>,
) -> NewOperation {
    NewOperation {
        kind: "export_tenant",
        tenant: Some(about),
        input: json!(options),
        steps: export::STEPS,
        run_at: now,
        requested_by: actor.to_owned(),
    }
}

/// The stream, which breaks off when nothing comes for a while.
fn unless_silent(bytes: Measured, idle: Duration) -> stream::BoxStream<'static, Result<bytes::Bytes, UploadError>> {
    stream::try_unfold(bytes, move |mut bytes| async move {
        let next = tokio::time::timeout(idle, bytes.try_next()).await;
        let silent = |_| UploadError::Broken(std::io::ErrorKind::TimedOut.into());
        Ok(next.map_err(silent)??.map(|chunk| (chunk, bytes)))
    })
    .boxed()
}

fn taken(error: DbError) -> Refusal {
    if operations::is_open_already(&error) {
        return Refusal::new(Kind::OperationOpen, "an export of the tenant is open already");
    }
    error.into()
}

impl From<restore::ReceiveError> for Refusal {
    fn from(error: restore::ReceiveError) -> Self {
        match error {
            restore::ReceiveError::Upload(error) => error.into(),
            restore::ReceiveError::Archive(error) => error.into(),
        }
    }
}

impl From<ArchiveError> for Refusal {
    fn from(error: ArchiveError) -> Self {
        use super::file::FileError;

        match error {
            ArchiveError::File(FileError::Invalid(reason)) => Refusal::new(Kind::InvalidArchive, reason),
            ArchiveError::File(FileError::TooNew { .. }) => Refusal::new(Kind::ArchiveTooNew, error.to_string()),
            ArchiveError::Db(error) => error.into(),
            ArchiveError::Refused { kind, reason } => match Kind::by_slug(kind) {
                Some(kind) => Problem::new(kind, reason).into(),
                None => Refusal::new(Kind::IllegalState, reason),
            },
            error => Refusal::internal(&error),
        }
    }
}
