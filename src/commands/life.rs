//! `plumbline tenant create | list | show | suspend | resume | hold | release | off-board | certificate`.

use std::{io::IsTerminal, process::ExitCode};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use plumbline::{
    app::App,
    foundation::{
        access::{OperatorGrant, Permission},
        clock::Clock,
        config::Config,
    },
    platform::{
        http::{Cursor, IdempotencyKey, Limit, Listing, Position},
        lifecycle::{
            Lifecycle, Requested,
            api::{CertificateView, TenantView},
            model::{FirstAdmin, GRACE_DAYS, TenantRecord, TenantWanted},
        },
        operations::{OperationStatus, api::OperationView},
        tenancy::TenantStatus,
    },
};
use poem_openapi::types::{ParseFromParameter, ToJSON};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Failure, connection, follow};

/// What is done with tenants. A tenant is named by its slug or its id.
#[derive(Subcommand)]
pub enum LifeCommand {
    /// Make a tenant with its own schema (DATABASE_OWNER_URL unless --no-wait). Prints its id.
    Create {
        /// Short name: lower-case letters, digits and hyphens.
        #[arg(long)]
        slug: String,
        /// Name for people.
        #[arg(long)]
        name: String,
        /// The OIDC issuer whose tokens are the tenant's.
        #[arg(long)]
        issuer: String,
        /// The first admin's `sub` at the issuer. The role tenant_admin itself comes with the issuer's tokens.
        #[arg(long, requires = "admin_name")]
        admin_subject: Option<String>,
        /// The first admin's name.
        #[arg(long, requires = "admin_subject")]
        admin_name: Option<String>,
        /// The first admin's e-mail address.
        #[arg(long, requires = "admin_subject")]
        admin_email: Option<String>,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        shown: Shown,
    },
    /// List tenants, newest first.
    List {
        /// Those that stand so: provisioning, active, suspended, leaving or destroyed.
        #[arg(long)]
        status: Option<TenantStatus>,
        /// Those whose slug begins so.
        #[arg(long)]
        slug_prefix: Option<String>,
        #[command(flatten)]
        shown: Shown,
    },
    /// Show one tenant.
    Show {
        /// Its slug or id.
        tenant: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Stop everything of a tenant, and keep it.
    Suspend {
        /// Its slug or id.
        tenant: String,
        /// Why; operators see it, and it is in the audit log.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Serve a suspended tenant again.
    Resume {
        /// Its slug or id.
        tenant: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Put a tenant under legal hold: it is not destroyed.
    Hold {
        /// Its slug or id.
        tenant: String,
        /// Why; operators alone see it.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Lift a tenant's legal hold.
    Release {
        /// Its slug or id.
        tenant: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Let a tenant go: not served from now on, and destroyed when its grace period is over (DATABASE_OWNER_URL unless --no-wait).
    OffBoard {
        /// Its slug or id.
        tenant: String,
        /// Days until all of its data is destroyed; 0 for at once.
        #[arg(long, default_value_t = GRACE_DAYS)]
        grace_days: u16,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        shown: Shown,
    },
    /// Print a destroyed tenant's certificate as JSON.
    Certificate {
        /// Its id; the slug may be another one's by now.
        tenant: String,
    },
}

/// Who does the steps.
#[derive(Args)]
pub struct Wait {
    /// Leave the steps to the operator's process (`plumbline operate`).
    #[arg(long)]
    no_wait: bool,
}

/// How it is shown.
#[derive(Args)]
pub struct Shown {
    /// As JSON, in the API's form.
    #[arg(long)]
    json: bool,
}

/// One command at work.
struct Desk {
    app: App,
    lifecycle: Lifecycle,
    grant: OperatorGrant,
    stop: CancellationToken,
}

/// Does it.
pub async fn run(config: &Config, command: LifeCommand, stop: CancellationToken) -> Result<ExitCode, Failure> {
    let app = App::new(config.clone(), Clock::system()).await?;
    let desk = Desk { lifecycle: app.lifecycle(), app, grant: whoever_types(), stop };
    match command {
        LifeCommand::Create { slug, name, issuer, admin_subject, admin_name, admin_email, wait, shown } => {
            let admin = admin_subject.zip(admin_name).map(|(subject, display_name)| FirstAdmin {
                subject,
                display_name,
                email: admin_email,
            });
            desk.create(config, TenantWanted { slug, name, issuer, admin, quotas: None }, &wait, &shown).await
        }
        LifeCommand::List { status, slug_prefix, shown } => desk.list(status, slug_prefix.as_deref(), &shown).await,
        LifeCommand::Show { tenant, shown } => Ok(print(desk.named(&tenant).await?, &shown)),
        LifeCommand::Suspend { tenant, reason, shown } => {
            let id = desk.named(&tenant).await?.tenant_id;
            Ok(print(desk.lifecycle.suspend(&desk.grant, id, &reason).await?, &shown))
        }
        LifeCommand::Resume { tenant, shown } => {
            let id = desk.named(&tenant).await?.tenant_id;
            Ok(print(desk.lifecycle.resume(&desk.grant, id).await?, &shown))
        }
        LifeCommand::Hold { tenant, reason, shown } => {
            let id = desk.named(&tenant).await?.tenant_id;
            Ok(print(desk.lifecycle.hold(&desk.grant, id, &reason).await?, &shown))
        }
        LifeCommand::Release { tenant, shown } => {
            let id = desk.named(&tenant).await?.tenant_id;
            Ok(print(desk.lifecycle.release(&desk.grant, id).await?, &shown))
        }
        LifeCommand::OffBoard { tenant, grace_days, yes, wait, shown } => {
            let tenant = desk.named(&tenant).await?;
            if !yes && !confirmed(&tenant, grace_days)? {
                return Err(Failure::Said("nothing was done; say --yes when it is meant".to_owned()));
            }
            let keyed = IdempotencyKey::default().request("off_board_tenant");
            let asked = desk.lifecycle.off_board(&desk.grant, &keyed, tenant.tenant_id, grace_days).await?.value;
            desk.finish(config, asked, &wait, &shown).await
        }
        LifeCommand::Certificate { tenant } => {
            let id = desk.named(&tenant).await?.tenant_id;
            let certificate = desk.lifecycle.certificate(&desk.grant, id).await?;
            println!("{:#}", CertificateView::from(certificate).to_json().unwrap_or_default());
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Desk {
    async fn named(&self, tenant: &str) -> Result<TenantRecord, Failure> {
        Ok(self.lifecycle.named(&self.grant, tenant).await?)
    }

    async fn create(
        &self,
        config: &Config,
        wanted: TenantWanted,
        wait: &Wait,
        shown: &Shown,
    ) -> Result<ExitCode, Failure> {
        let keyed = IdempotencyKey::default().request("create_tenant");
        let asked = self.lifecycle.provision(&self.grant, &keyed, wanted).await?.value;
        self.finish(config, asked, wait, shown).await
    }

    /// Follows the operation to its end in this process, unless another one is to do it.
    async fn finish(&self, config: &Config, asked: Requested, wait: &Wait, shown: &Shown) -> Result<ExitCode, Failure> {
        let Requested { tenant, mut operation } = asked;
        if !wait.no_wait {
            let owner = connection(config.database.owner_url.as_ref(), "DATABASE_OWNER_URL")?;
            operation = follow::to_its_end(&self.app, &self.grant, &owner, operation, &self.stop).await?;
        }
        let code = follow::code(&operation, &self.stop);
        let (status, id) = (operation.status, tenant.tenant_id);
        if shown.json {
            let tenant = self.lifecycle.get(id).await.ok().map(|tenant| TenantView::from(tenant).to_json());
            println!("{:#}", json!({ "tenant": tenant, "operation": OperationView::from(operation).to_json() }));
        } else {
            println!("{id}");
            if status != OperationStatus::Succeeded {
                eprintln!("operation {} is {status}", operation.operation_id);
            }
        }
        Ok(code)
    }

    async fn list(
        &self,
        status: Option<TenantStatus>,
        slug_prefix: Option<&str>,
        shown: &Shown,
    ) -> Result<ExitCode, Failure> {
        let unreadable = |_| Failure::Said("a page of the list cannot be asked for".to_owned());
        let mut tenants: Vec<TenantRecord> = vec![];
        let mut cursor = Cursor::default();
        loop {
            let limit = Limit::parse_from_parameter("200").map_err(|_| unreadable(()))?;
            let listing = Listing::new("plumbline tenant list", &(), limit, &cursor).map_err(|_| unreadable(()))?;
            let found = self.lifecycle.list(&self.grant, status, slug_prefix, &listing).await?;
            let page = listing.page(found, |one| Position::new(one.created_at, one.tenant_id.0), |one| one);
            tenants.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = Cursor::parse_from_parameter(&next).map_err(|_| unreadable(()))?,
                None => break,
            }
        }
        if shown.json {
            let views: Vec<Value> =
                tenants.into_iter().filter_map(|tenant| TenantView::from(tenant).to_json()).collect();
            println!("{:#}", Value::Array(views));
        } else {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING).set_header(["slug", "status", "id", "name", "held", "issuer"]);
            for one in tenants {
                let held = if one.legal_hold.is_some() { "yes" } else { "" }.to_owned();
                let id = one.tenant_id.to_string();
                table.add_row([one.slug, one.status.to_string(), id, one.name, held, one.issuer]);
            }
            println!("{table}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(tenant: TenantRecord, shown: &Shown) -> ExitCode {
    let view = TenantView::from(tenant).to_json().unwrap_or_default();
    if shown.json {
        println!("{view:#}");
    } else {
        for (field, value) in view.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            println!("{field:>20}  {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    ExitCode::SUCCESS
}

/// Whoever sits there types the slug; nobody does in a script.
fn confirmed(tenant: &TenantRecord, grace_days: u16) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprintln!(
        "All data of {} ({}) will be destroyed in {grace_days} days, and it is not served from now on. Type its slug:",
        tenant.slug, tenant.tenant_id
    );
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed)?;
    Ok(typed.trim() == tenant.slug)
}

/// The one who has the database's credential is an operator; audit events name the login.
#[allow(clippy::disallowed_methods, reason = "the command line has the database's credential already")]
pub(super) fn whoever_types() -> OperatorGrant {
    let login = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let login: String = login.unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect();
    let login = if login.is_empty() { "unknown" } else { &login };
    OperatorGrant::system(&format!("command-line:{login}"), Permission::ManageTenants)
}
