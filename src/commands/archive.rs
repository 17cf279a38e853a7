//! `plumbline tenant export | verify | restore | clone`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use futures_util::{StreamExt, TryStreamExt};
use indicatif::ProgressBar;
use plumbline::{
    app::App,
    foundation::{access::OperatorGrant, clock::Clock, config::Config, ids::TenantId},
    platform::{
        archive::{
            self, ArchiveError, Asked, AskedClone, Options, Summary, Watch,
            file::{FileError, Limits, Reader},
        },
        audit::{PlatformEvent, audit_platform},
        db::newest_tenant_version,
        http::UploadError,
        lifecycle::model::{check_issuer, check_name, check_slug},
        operations::{self, StepError},
    },
};
use serde_json::json;
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
};
use tokio_util::{io::ReaderStream, sync::CancellationToken};

use super::{Failure, connection, follow, life::whoever_types};

/// What is done with archives. A tenant is named by its slug or its id.
#[derive(Subcommand)]
pub enum ArchiveCommand {
    /// Write all that a tenant has into one file (DATABASE_OWNER_URL).
    Export {
        /// Its slug or id.
        tenant: String,
        /// The file; one that is there is not touched.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Go on when the object store lacks what rows name; the manifest lists it.
        #[arg(long)]
        allow_missing_objects: bool,
    },
    /// Hold an archive against its own digests and counts. Needs no database.
    Verify {
        /// The archive.
        file: PathBuf,
    },
    /// Make a tenant of an archive (DATABASE_OWNER_URL). Prints its id.
    Restore {
        /// The archive.
        file: PathBuf,
        /// The new tenant's short name.
        #[arg(long)]
        slug: String,
        /// The OIDC issuer whose tokens are its.
        #[arg(long)]
        issuer: String,
        /// Its name; the archived tenant's when absent.
        #[arg(long)]
        name: Option<String>,
    },
    /// Make a masked copy of a tenant to try things on (DATABASE_OWNER_URL). Prints its id.
    Clone {
        /// Whom to copy: a slug or an id.
        tenant: String,
        /// The copy's short name.
        #[arg(long)]
        slug: String,
        /// Its name.
        #[arg(long)]
        name: String,
        /// The OIDC issuer whose tokens are its.
        #[arg(long)]
        issuer: String,
    },
}

/// Does it.
pub async fn run(config: &Config, command: ArchiveCommand, stop: CancellationToken) -> Result<ExitCode, Failure> {
    if let ArchiveCommand::Verify { file } = &command {
        return verify(file).await;
    }
    let owner = connection(config.database.owner_url.as_ref(), "DATABASE_OWNER_URL")?;
    let app = App::new(config.clone(), Clock::system()).await?;
    let desk = Desk { app, config, owner, grant: whoever_types(), stop };
    match command {
        ArchiveCommand::Export { tenant, to, allow_missing_objects } => {
            Box::pin(desk.export(&tenant, &to, Options { allow_missing_objects })).await
        }
        ArchiveCommand::Restore { file, slug, issuer, name } => Box::pin(desk.restore(&file, slug, issuer, name)).await,
        ArchiveCommand::Clone { tenant, slug, name, issuer } => Box::pin(desk.clone(&tenant, slug, name, issuer)).await,
        ArchiveCommand::Verify { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// One command at work.
struct Desk<'a> {
    app: App,
    config: &'a Config,
    owner: tokio_postgres::Config,
    grant: OperatorGrant,
    stop: CancellationToken,
}

/// Shows how much is done; a signal stops it.
struct Bar<'a>(ProgressBar, &'a CancellationToken);

#[async_trait::async_trait]
impl Watch for Bar<'_> {
    async fn seen(&self, done: u64, total: Option<u64>) -> Result<(), StepError> {
        if let Some(total) = total {
            self.0.set_length(total);
        }
        self.0.set_position(done);
        if self.1.is_cancelled() { Err(StepError::Cancelled) } else { Ok(()) }
    }
}

impl Desk<'_> {
    async fn named(&self, tenant: &str) -> Result<TenantId, Failure> {
        Ok(self.app.lifecycle().named(&self.grant, tenant).await?.tenant_id)
    }

    /// Into a file beside the one that is asked for, which takes its name when it is whole.
    async fn export(&self, tenant: &str, to: &Path, options: Options) -> Result<ExitCode, Failure> {
        let tenant = self.named(tenant).await?;
        if fs::try_exists(to).await? {
            return Err(Failure::Said(format!("{} is there already", to.display())));
        }
        let mut part = to.as_os_str().to_owned();
        part.push(".part");
        // As confidential as the calls in it: for whoever types alone.
        let created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).await;
        let file = created.map_err(|error| {
            let part = part.to_string_lossy();
            Failure::Said(match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    format!("{part} is there already: another export is under way, or one was killed; remove it then")
                }
                _ => format!("{part}: {error}"),
            })
        })?;
        let (now, bar) = (Clock::system().now(), Bar(ProgressBar::new(0), &self.stop));
        let exported =
            archive::export(&self.owner, self.app.objects().as_ref(), tenant, options, now, file, &bar).await;
        let exported = match exported {
            Ok(exported) => exported,
            Err((_, error)) => {
                fs::remove_file(&part).await?;
                return Err(error.into());
            }
        };
        bar.0.finish_and_clear();
        let summary = Summary::of(&exported, 0);
        let mut file = exported.sink;
        file.flush().await?;
        file.sync_all().await?;
        drop(file);
        fs::rename(&part, to).await?;
        self.note(tenant, &summary).await?;
        println!("{}  {}", summary.sha256, to.display());
        Ok(ExitCode::SUCCESS)
    }

    async fn note(&self, tenant: TenantId, summary: &Summary) -> Result<(), Failure> {
        let event = PlatformEvent {
            actor: self.grant.actor(),
            action: "tenant.exported",
            subject_kind: "tenant",
            subject_id: Some(tenant.0),
            tenant_id: Some(tenant),
            request_id: None,
            details: json!({ "sha256": summary.sha256 }),
            now: Clock::system().now(),
        };
        Ok(audit_platform(&self.app.db().operator_alone(&self.grant), &event).await?)
    }

    fn check(&self, slug: &str, name: Option<&str>, issuer: &str) -> Result<(), Failure> {
        let operators = self.config.identity.operator_issuer.as_deref();
        let checked = check_slug(slug)
            .and_then(|()| name.map_or(Ok(()), check_name))
            .and_then(|()| check_issuer(issuer, operators));
        checked.map_err(|error| Failure::Said(error.to_string()))
    }

    /// The archive goes into the object store first, so that whoever operates can go on with it after a crash of this process.
    async fn restore(
        &self,
        file: &Path,
        slug: String,
        issuer: String,
        name: Option<String>,
    ) -> Result<ExitCode, Failure> {
        self.check(&slug, name.as_deref(), &issuer)?;
        let bytes = ReaderStream::with_capacity(File::open(file).await?, 1024 * 1024).map_err(UploadError::from);
        let tenant = TenantId::new();
        let header = archive::receive(self.app.objects(), tenant, bytes.boxed()).await;
        let header = header.map_err(|error| Failure::Said(error.to_string()))?;
        let asked = Asked { slug, name: name.unwrap_or_else(|| header.tenant.name.clone()), issuer };
        let (on, now) = (self.app.db().operator_alone(&self.grant), Clock::system().now());
        match archive::start_restore(&on, tenant, &header, &asked, self.grant.actor(), now).await {
            Ok(id) => self.follow(tenant, id).await,
            Err(error) => {
                archive::forget_import(self.app.objects().as_ref(), tenant).await?;
                Err(error.into())
            }
        }
    }

    async fn clone(&self, tenant: &str, slug: String, name: String, issuer: String) -> Result<ExitCode, Failure> {
        self.check(&slug, Some(&name), &issuer)?;
        let asked = AskedClone { from_tenant_id: self.named(tenant).await?, slug, name, issuer };
        let (on, now) = (self.app.db().operator_alone(&self.grant), Clock::system().now());
        let (tenant, id) = archive::start_clone(&on, &asked, self.grant.actor(), now).await?;
        self.follow(tenant, id).await
    }

    async fn follow(&self, tenant: TenantId, id: plumbline::foundation::ids::OperationId) -> Result<ExitCode, Failure> {
        let found = operations::find(&self.app.db().operator_alone(&self.grant), id).await?;
        let operation = found.ok_or_else(|| Failure::Said(format!("there is no operation {id}")))?;
        let operation = follow::to_its_end(&self.app, &self.grant, &self.owner, operation, &self.stop).await?;
        if let Some(error) = &operation.error {
            eprintln!("operation {id} failed: {}: {}", error.kind, error.reason);
        } else {
            println!("{tenant}");
        }
        Ok(follow::code(&operation, &self.stop))
    }
}

async fn verify(path: &Path) -> Result<ExitCode, Failure> {
    let file = File::open(path).await?;
    let size = file.metadata().await?.len();
    let bytes = ReaderStream::with_capacity(file, 1024 * 1024).boxed();
    let reader = Reader::open(bytes, Limits::for_file(size, newest_tenant_version())).await;
    let mut reader = reader.map_err(ArchiveError::from)?;
    while reader.next().await.map_err(ArchiveError::from)?.is_some() {}
    let none = || ArchiveError::from(FileError::Invalid("the archive has no manifest".to_owned()));
    let (header, manifest) = (reader.header(), reader.manifest().ok_or_else(none)?);
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    println!(
        "{}: format {}, schema {}, {} ({}) of {}\n{} entries, {rows} rows, {} jobs, {} objects of {} bytes, {} objects missing\nmanifest {}\nevery digest and count is right",
        path.display(),
        header.format,
        header.schema_version,
        header.tenant.slug,
        header.tenant.tenant_id,
        header.exported_at,
        manifest.entries.len(),
        manifest.jobs.rows,
        manifest.objects.count,
        manifest.objects.bytes,
        manifest.missing_objects.len(),
        manifest.digest
    );
    Ok(ExitCode::SUCCESS)
}
