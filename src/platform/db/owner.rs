//! The owner's side: roles, schemas and migrations. Requests and jobs never come here.

use tokio_postgres::{Client, Config, Row};

use super::{DbError, Params, Query, Statements, Step, connect::single, error::passes, migrate, query::schema_name};
use crate::foundation::ids::{OrganizationId, TenantId};

/// What can go wrong on the owner's side.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// PostgreSQL cannot be reached or refused a statement.
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    /// The machine's certificates cannot be read.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// A migration failed; the schema is as it was before.
    #[error("{} of {schema} failed: {reason}", named(*version))]
    Migration {
        /// Which schema.
        schema: String,
        /// Which migration; unknown when the connection broke.
        version: Option<i32>,
        /// What refinery and PostgreSQL said.
        reason: String,
        /// Whether trying again may help.
        temporary: bool,
    },
    /// The migration that was applied is not the one that this build has: its text or its name was changed afterwards.
    #[error("V{version} of {schema} is another one than was applied")]
    Divergent {
        /// Which schema.
        schema: String,
        /// Which migration.
        version: i32,
    },
    /// A migration is missing: in this build although it was applied, or in the schema although later ones were applied.
    #[error("V{version} of {schema} {}", if *applied { "was applied and is not in this build" } else { "was passed over" })]
    Missing {
        /// Which schema.
        schema: String,
        /// Which migration.
        version: i32,
        /// Whether it is missing in this build.
        applied: bool,
    },
    /// A row of refinery's history is damaged.
    #[error("the row of V{version} in the history of {schema} cannot be read")]
    History {
        /// Which schema.
        schema: String,
        /// Which migration.
        version: i32,
    },
    /// The tenant has no schema.
    #[error("there is no schema {0}")]
    NoSchema(String),
    /// Somebody else makes, migrates or destroys the tenant.
    #[error("somebody else is at work on {0}")]
    Locked(String),
    /// There is no platform schema yet.
    #[error("the database is not prepared for Plumbline; `plumbline migrate` does that")]
    NotMigrated,
    /// The application's login role could pass the walls.
    #[error("the login role of DATABASE_URL {0}; Plumbline does not serve with it")]
    TooPowerful(&'static str),
    /// The login role's name cannot be quoted safely.
    #[error("the login role's name {0:?} is not made of letters, digits and underscores")]
    RoleName(String),
    /// The tenants table refuses the value.
    #[error("the tenant's {0} is not allowed")]
    NotAllowed(&'static str),
    /// Another tenant has the slug or the issuer.
    #[error("a tenant with this slug or issuer exists")]
    TenantExists,
}

impl OwnerError {
    /// Whether trying again later may help: a lock that was not given in time, a connection that broke, a server that restarts.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Postgres(error) => error.code().is_none_or(passes),
            Self::Migration { temporary, .. } => *temporary,
            Self::Locked(_) => true,
            _ => false,
        }
    }
}

fn named(version: Option<i32>) -> String {
    version.map_or_else(|| "migrating".to_owned(), |version| format!("V{version}"))
}

/// A tenant to be made.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its id, which also names its schema.
    pub tenant_id: TenantId,
    /// Short name in URLs: `[a-z][a-z0-9-]*`, 2 to 40 characters.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// The OIDC issuer whose tokens are this tenant's.
    pub issuer: String,
    /// The organization that tenant-wide rows belong to.
    pub root_organization_id: OrganizationId,
}

/// A connection that owns Plumbline's schemas and may create roles.
pub struct Owner {
    pub(super) client: Client,
}

impl Owner {
    /// # Errors
    /// When PostgreSQL cannot be reached.
    pub async fn connect(config: &Config) -> Result<Self, OwnerError> {
        Ok(Self { client: single(config).await? })
    }

    /// Brings roles and the platform schema to the newest version; returns how many migrations that took. `login` is the application's
    /// connection: its role is created if need be.
    ///
    /// # Errors
    /// When a statement or a migration is refused.
    pub async fn migrate_platform(&mut self, login: &Config) -> Result<usize, OwnerError> {
        self.roles(login).await?;
        self.client
            .batch_execute(
                "create schema if not exists platform;
                 grant usage on schema platform to plumbline_platform, plumbline_member, plumbline_operator;",
            )
            .await?;
        migrate::platform(&mut self.client).await
    }

    /// Makes a tenant: its row, its schema with every table, its root organization. One that was begun with the same slug and issuer and not
    /// finished is finished, under the id that it has. Returns the id.
    ///
    /// # Errors
    /// [`OwnerError::TenantExists`]; otherwise what PostgreSQL refused. The tenant stays `provisioning` until all is there.
    pub async fn create_tenant(&mut self, new: &NewTenant) -> Result<TenantId, OwnerError> {
        let begun = self.insert_tenant_row(new).await?;
        self.create_schema(begun.tenant_id).await?;
        self.insert_root_organization(&begun).await?;
        self.activate(begun.tenant_id).await?;
        Ok(begun.tenant_id)
    }

    /// The tenant's row, `provisioning`. One that was begun with the same slug and issuer keeps the ids and the name that it has.
    ///
    /// # Errors
    /// [`OwnerError::TenantExists`] when another tenant has the slug or the issuer; [`OwnerError::NotAllowed`] for a slug, a name or an
    /// issuer of another form; otherwise what PostgreSQL refused.
    pub async fn insert_tenant_row(&self, new: &NewTenant) -> Result<NewTenant, OwnerError> {
        let row = self
            .client
            .query_opt(
                "with made as (
                     insert into platform.tenants (tenant_id, slug, name, status, issuer, root_organization_id)
                     values ($1, $2, $3, 'provisioning', $4, $5) on conflict do nothing
                     returning tenant_id, root_organization_id, name
                 )
                 select tenant_id, root_organization_id, name from made
                 union all
                 select tenant_id, root_organization_id, name from platform.tenants
                 where slug = $2 and issuer = $4 and status = 'provisioning'",
                &[&new.tenant_id, &new.slug, &new.name, &new.issuer, &new.root_organization_id],
            )
            .await
            .map_err(not_allowed)?
            .ok_or(OwnerError::TenantExists)?;
        Ok(NewTenant {
            tenant_id: row.get("tenant_id"),
            root_organization_id: row.get("root_organization_id"),
            name: row.get("name"),
            ..new.clone()
        })
    }

    /// The organization that tenant-wide rows belong to, with the tenant's slug and name; nothing when it is there.
    ///
    /// # Errors
    /// What PostgreSQL refused.
    pub async fn insert_root_organization(&self, tenant: &NewTenant) -> Result<(), OwnerError> {
        let schema = schema_name(tenant.tenant_id);
        let statement = format!(
            "insert into {schema}.organizations (organization_id, root_organization_id, slug, name, created_at, updated_at)
             values ($1, $1, $2, $3, now(), now()) on conflict do nothing"
        );
        self.client.execute(&statement, &[&tenant.root_organization_id, &tenant.slug, &tenant.name]).await?;
        Ok(())
    }

    /// Ends the provisioning: the tenant is served from now on. Returns whether it was being provisioned, and has a schema.
    ///
    /// # Errors
    /// What PostgreSQL refused.
    pub async fn activate(&self, tenant: TenantId) -> Result<bool, OwnerError> {
        let statement = "update platform.tenants set status = 'active', revision = revision + 1, changed_at = now()
             where tenant_id = $1 and status = 'provisioning'
               and to_regnamespace('t_' || replace(tenant_id::text, '-', '')) is not null";
        Ok(self.client.execute(statement, &[&tenant]).await? == 1)
    }

    /// Whether there is a platform schema.
    ///
    /// # Errors
    /// What PostgreSQL refused.
    pub async fn is_migrated(&self) -> Result<bool, OwnerError> {
        let found = self.client.query_one("select to_regclass('platform.tenants') is not null", &[]).await?;
        Ok(found.get(0))
    }

    /// The migrations of the platform that [`Owner::migrate_platform`] would apply.
    ///
    /// # Errors
    /// What refinery finds wrong with the history, or PostgreSQL refused.
    pub async fn pending_platform_migrations(&self) -> Result<Vec<Step<'static>>, OwnerError> {
        migrate::pending_of_platform(&self.client).await
    }

    /// Whether the connection broke.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Drops a database and makes it anew: for the demo's private server. The name must be letters, digits and underscores.
    ///
    /// # Errors
    /// [`OwnerError::RoleName`] for another name; otherwise what PostgreSQL refused.
    pub async fn renew_database(&mut self, name: &str) -> Result<(), OwnerError> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(OwnerError::RoleName(name.to_owned()));
        }
        self.client.execute(&format!("drop database if exists {name} with (force)"), &[]).await?;
        self.client.execute(&format!("create database {name}"), &[]).await?;
        Ok(())
    }

    /// Scope roles, and the login role that may take them but inherits nothing of them.
    async fn roles(&self, login: &Config) -> Result<(), OwnerError> {
        let user = login.get_user().unwrap_or("plumbline_app");
        if user.is_empty() || !user.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(OwnerError::RoleName(user.to_owned()));
        }
        self.client
            .batch_execute(
                "do $roles$
                 declare scope text;
                 begin
                     perform pg_advisory_xact_lock(hashtextextended('plumbline.roles', 0));
                     foreach scope in array array['plumbline_member', 'plumbline_agent', 'plumbline_directory', 'plumbline_platform', 'plumbline_operator'] loop
                         if not exists (select from pg_roles where rolname = scope) then
                             execute format('create role %I noinherit', scope);
                         end if;
                     end loop;
                 end $roles$;
                 revoke all on schema public from public;",
            )
            .await?;
        if self.client.query_opt("select from pg_roles where rolname = $1", &[&user]).await?.is_none() {
            let password = match login.get_password().map(String::from_utf8_lossy) {
                Some(password) => format!("password '{}'", password.replace('\'', "''")),
                None => String::new(),
            };
            self.client.batch_execute(&format!("create role \"{user}\" login noinherit {password}")).await?;
        }
        self.client
            .batch_execute(&format!(
                "grant plumbline_member, plumbline_agent, plumbline_directory, plumbline_platform, plumbline_operator to \"{user}\""
            ))
            .await?;
        Ok(())
    }
}

/// Query files of the platform's tables, past every wall.
impl Statements for Owner {
    async fn all(&self, query: Query, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        let text = query.render("tenant", "owner");
        self.client.query(&text, params).await.map_err(|source| DbError::Statement { name: query.name, source })
    }

    async fn execute(&self, query: Query, params: Params<'_>) -> Result<u64, DbError> {
        let text = query.render("tenant", "owner");
        self.client.execute(&text, params).await.map_err(|source| DbError::Statement { name: query.name, source })
    }
}

/// A refusal by one of the table's own rules, in words.
fn not_allowed(error: tokio_postgres::Error) -> OwnerError {
    match error.as_db_error().and_then(|refused| refused.constraint()) {
        Some("tenants_slug_check") => OwnerError::NotAllowed("slug"),
        Some("tenants_name_check") => OwnerError::NotAllowed("name"),
        Some("tenants_issuer_check") => OwnerError::NotAllowed("issuer"),
        _ => error.into(),
    }
}
