//! Versions: a component is streamed in, validated, and kept by its digest for good.

use std::io::SeekFrom;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream::BoxStream};
use object_store::{GetOptions, ObjectStoreExt, path::Path};
use serde_json::{Value, json};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    Place, Plugins, PluginsError, VersionFilter,
    model::{PluginVersion, PluginWorld},
    runs, settings, store,
};
use crate::{
    foundation::{access::Grant, digest, ids::TenantId},
    platform::{
        audit::audit,
        db::{DbError, InTenant},
        http::{Listing, Measured, UploadError},
        plugins::{Plugin, PluginError, PluginHost, SettingsFault, ValidationReport},
        tenancy::quotas::{self, Quotas, Wanted},
    },
};

/// A version, and whether the tenant had it before.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The version.
    pub version: PluginVersion,
    /// Whether the same bytes were there already.
    pub known: bool,
}

impl Plugins {
    /// Takes a component in: it is written to a file without a name while it is hashed and limited, validated, and kept by its digest. The
    /// same bytes are the same version.
    ///
    /// # Errors
    /// [`PluginsError::Upload`], [`PluginsError::Refused`] with the report, [`PluginsError::Quota`]. Nothing is kept then.
    pub async fn upload(
        &self,
        grant: &Grant,
        bytes: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Kept, PluginsError> {
        let quotas = self.tenants.quotas(grant.tenant()).await?;
        let mut bytes = Measured::new(bytes, self.host.limits().component_bytes as u64);
        let mut file = File::from_std(tempfile::tempfile()?);
        while let Some(piece) = timeout(self.idle, bytes.next()).await.map_err(|_| silent())? {
            file.write_all(&piece?).await?;
        }
        let digest = bytes.measure().sha256;
        if let Some(version) = store::find_version(&self.db.alone(grant), &digest).await? {
            return Ok(Kept { version, known: true });
        }
        let _turn = self.validations.acquire().await.map_err(|_| PluginError::Host("it is closing".to_owned()))?;
        let mut component = Vec::with_capacity(usize::try_from(bytes.measure().size_bytes).unwrap_or(0));
        file.seek(SeekFrom::Start(0)).await?;
        file.read_to_end(&mut component).await?;
        keep(self.place(), grant, &quotas, component.into(), self.now()).await
    }

    /// One version, with its report.
    ///
    /// # Errors
    /// [`PluginsError::NoVersion`].
    pub async fn version(&self, grant: &Grant, digest: &str) -> Result<PluginVersion, PluginsError> {
        store::find_version(&self.db.alone(grant), digest).await?.ok_or(PluginsError::NoVersion)
    }

    /// A page of the tenant's versions, newest first.
    ///
    /// # Errors
    /// [`PluginsError::Db`].
    pub async fn versions(
        &self,
        grant: &Grant,
        filter: &VersionFilter,
        listing: &Listing,
    ) -> Result<Vec<PluginVersion>, PluginsError> {
        Ok(store::list_versions(&self.db.alone(grant), filter, listing).await?)
    }

    /// What is wrong with settings; nothing when the version takes them.
    ///
    /// # Errors
    /// [`PluginsError::NoVersion`].
    pub async fn check_settings(
        &self,
        grant: &Grant,
        digest: &str,
        settings: &Value,
    ) -> Result<Vec<SettingsFault>, PluginsError> {
        let version = self.version(grant, digest).await?;
        let plugin =
            load(&self.host, self.objects.as_ref(), grant.tenant(), &version.digest, &version.object_key).await??;
        settings::faults(&plugin, &version, settings).await
    }

    /// The component's bytes, or some of them.
    ///
    /// # Errors
    /// [`PluginsError::Objects`].
    pub async fn component(
        &self,
        version: &PluginVersion,
        part: GetOptions,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, PluginsError> {
        let object = self.objects.get_opts(&Path::from(version.object_key.as_str()), part).await?;
        Ok(object.into_stream().map(|piece| piece.map_err(std::io::Error::other)).boxed())
    }
}

/// Validates a component and keeps it by its digest.
///
/// # Errors
/// As [`Plugins::upload`]. A version that others put into the tenant's last room at the same moment may leave its object behind, which counts
/// nothing and is written over by the next attempt.
pub(super) async fn keep(
    place: Place<'_>,
    grant: &Grant,
    quotas: &Quotas,
    component: Bytes,
    now: DateTime<Utc>,
) -> Result<Kept, PluginsError> {
    let digest = digest::of_bytes(&component);
    let size_bytes = i64::try_from(component.len()).unwrap_or(i64::MAX);
    if let Some(version) = foresee(place, grant, quotas, &digest, size_bytes, now).await? {
        return Ok(Kept { version, known: true });
    }
    let Validated { name, version, world, summary, settings_schema, manifest, report } =
        validated(place.host, component.clone()).await?;
    let object_key = format!("{}/plugins/{digest}.wasm", grant.tenant());
    place.objects.put(&Path::from(object_key.as_str()), component.into()).await?;
    let version = PluginVersion {
        digest,
        name,
        version,
        world,
        summary,
        size_bytes,
        object_key,
        settings_schema,
        manifest,
        report: Some(report),
        uploaded_by: grant.actor().to_owned(),
        created_at: now,
        is_bound: false,
    };
    place
        .db
        .tenant(grant, "plugins.keep", async |tx| {
            if !store::insert_version(tx, &version).await? {
                let version = store::find_version(tx, &version.digest).await?.ok_or(PluginsError::NoVersion)?;
                return Ok(Kept { version, known: true }); // the same upload, a moment before
            }
            let PluginVersion { digest, name, version: number, world, .. } = &version;
            let details = json!({
                "digest": digest, "name": name, "version": number, "world": world, "size_bytes": size_bytes
            });
            audit(tx, "plugin.uploaded", "plugin", None, tx.root(), details).await?;
            quotas::count_plugin(tx, quotas, size_bytes, now).await?;
            Ok(Kept { version, known: false })
        })
        .await
}

/// The version if it is there; else a refusal when there is no room for it, before anything is done.
async fn foresee(
    place: Place<'_>,
    grant: &Grant,
    quotas: &Quotas,
    digest: &str,
    size_bytes: i64,
    now: DateTime<Utc>,
) -> Result<Option<PluginVersion>, PluginsError> {
    place
        .db
        .tenant(grant, "plugins.foresee", async |tx| {
            if let Some(version) = store::find_version(tx, digest).await? {
                return Ok(Some(version));
            }
            let stored_bytes = u64::try_from(size_bytes).unwrap_or(0);
            let wanted = Wanted { plugins: 1, stored_bytes, ..Wanted::default() };
            quotas::foresee(tx, quotas, &wanted, now).await?;
            Ok(None)
        })
        .await
}

/// What a validation found out about a component that is accepted.
struct Validated {
    name: String,
    version: String,
    world: PluginWorld,
    summary: String,
    settings_schema: Option<Value>,
    manifest: Value,
    report: Value,
}

/// Validates a component, in a process of its own.
async fn validated(host: &PluginHost, component: Bytes) -> Result<Validated, PluginsError> {
    let found = host.validate(component).await?;
    let written = |source| DbError::Stored { what: "report of a validation", source };
    let report = runs::storable_json(&serde_json::to_value(&found).map_err(written)?);
    let ValidationReport { accepted: true, world: Some(world), description: Some(described), manifest, .. } = found
    else {
        let message = found.problem.map_or_else(|| "it did not pass its validation".to_owned(), |why| why.message);
        return Err(PluginsError::Refused { message, report });
    };
    let settings_schema = described.settings_schema.as_deref().map(serde_json::from_str).transpose();
    Ok(Validated {
        name: described.name,
        version: described.version,
        world: world.into(),
        summary: described.summary,
        settings_schema: settings_schema.map_err(written)?,
        manifest: serde_json::to_value(&manifest).map_err(written)?,
        report,
    })
}

/// The plugin of a digest, from this process or from the object store, in its tenant's share of the host: what it waits for and takes is not taken
/// from others, whoever calls it for whatever. The inner error is the plugin's own fault.
///
/// # Errors
/// When the object store does not give it: that is nobody's plugin's fault.
pub async fn load(
    host: &PluginHost,
    objects: &dyn object_store::ObjectStore,
    tenant: TenantId,
    digest: &str,
    object_key: &str,
) -> Result<Result<Plugin, PluginError>, object_store::Error> {
    let share = host.share(&tenant.to_string(), host.usual_share());
    if let Some(plugin) = host.loaded(digest).await {
        return Ok(Ok(plugin.in_share(&share)));
    }
    let bytes = objects.get(&Path::from(object_key)).await?.bytes().await?;
    let loaded = host.load(bytes).await;
    Ok(loaded.and_then(|plugin| {
        if plugin.sha256() == digest {
            Ok(plugin.in_share(&share))
        } else {
            Err(PluginError::NotAComponent("its bytes are not those that were bound".to_owned()))
        }
    }))
}

fn silent() -> UploadError {
    UploadError::Broken(std::io::ErrorKind::TimedOut.into())
}
