//! Making a tenant. Every step looks at what is there before it makes something, so that a crash anywhere is gone on from.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    NOT_FOUND, PROVISION, Tools,
    model::{FirstAdmin, TenantRecord},
    objects,
    store::{self, Move},
    tenant_of,
};
use crate::{
    foundation::{
        access::{Grant, Permission, Role},
        ids::UserId,
    },
    platform::{
        audit::{PlatformEvent, audit, audit_platform},
        db::{DbError, NewTenant, newest_tenant_version},
        identity::IssuerFault,
        operations::{Procedure, Run, StepEnd, StepError},
        tenancy::TenantStatus,
    },
};

/// In order. A released version keeps these names.
pub(super) const STEPS: &[&str] =
    &["row", "schema", "baseline", "organization", "roles", "objects", "issuer", "admin", "activate"];

/// The database roles that look into a tenant's schema.
const SCOPE_ROLES: [&str; 3] = ["plumbline_agent", "plumbline_directory", "plumbline_member"];

/// What is asked for, beside what the tenant's row says.
#[derive(Serialize, Deserialize)]
pub(super) struct Provisioning {
    pub(super) admin: Option<FirstAdmin>,
}

/// Makes tenants.
pub struct Provision(pub Tools);

#[async_trait::async_trait]
impl Procedure for Provision {
    fn kind(&self) -> &'static str {
        PROVISION
    }

    fn steps(&self) -> &'static [&'static str] {
        STEPS
    }

    async fn step(&self, name: &str, run: &Run) -> Result<StepEnd, StepError> {
        let tenant = tenant_of(run).await?;
        if tenant.status != TenantStatus::Provisioning && name != "activate" {
            return Err(StepError::permanent("illegal-state", format!("the tenant is {}", tenant.status)));
        }
        let note = match name {
            "row" => format!("{} is {}", tenant.slug, tenant.tenant_id),
            "schema" => self.schema(&tenant).await?,
            "baseline" => self.baseline(&tenant).await?,
            "organization" => self.organization(&tenant).await?,
            "roles" => self.roles(run, &tenant).await?,
            "objects" => {
                objects::mark(self.0.objects.as_ref(), &tenant).await?;
                format!("{}/ is the tenant's", tenant.tenant_id)
            }
            "issuer" => self.issuer(&tenant).await?,
            "admin" => first_admin(run, &tenant).await?,
            "activate" => self.activate(run, &tenant).await?,
            other => return Err(StepError::permanent("unknown-step", format!("there is no step {other}"))),
        };
        Ok(StepEnd::Done(Some(note)))
    }

    /// Schema, objects and row, in this order: whoever finds the row knows that the rest may be there.
    async fn call_off(&self, run: &Run) -> Result<(), StepError> {
        let tenant = match tenant_of(run).await {
            Err(StepError::Permanent { kind: NOT_FOUND, .. }) => return Ok(()), // taken back already
            found => found?,
        };
        if tenant.status != TenantStatus::Provisioning {
            return Err(StepError::permanent("illegal-state", "the tenant is made; off-board it"));
        }
        let id = tenant.tenant_id;
        let owner = self.0.owner().await?;
        while owner.drop_tables(id, super::off_board::TABLES_AT_ONCE).await? > 0 {}
        owner.drop_schema(id).await?;
        objects::delete(self.0.objects.as_ref(), id, objects::Heard::ByNobody).await?;
        owner.delete_unmade(id).await?;
        self.0.tenants.forget_all(&[id].into()).await;
        Ok(())
    }
}

impl Provision {
    async fn schema(&self, tenant: &TenantRecord) -> Result<String, StepError> {
        let mut owner = self.0.owner().await?;
        owner.create_schema(tenant.tenant_id).await?;
        Ok(crate::platform::db::schema_name(tenant.tenant_id))
    }

    /// The schema came with its tables, in one transaction; here somebody looks.
    async fn baseline(&self, tenant: &TenantRecord) -> Result<String, StepError> {
        let tables = self.0.owner().await?.count_tables(tenant.tenant_id).await?.len();
        let (is, newest) = (tenant.schema_version, newest_tenant_version());
        if tables == 0 || is != newest {
            return Err(StepError::permanent("baseline", format!("{tables} tables of version {is}, not {newest}")));
        }
        Ok(format!("version {is}, {tables} tables"))
    }

    async fn organization(&self, tenant: &TenantRecord) -> Result<String, StepError> {
        let new = NewTenant {
            tenant_id: tenant.tenant_id,
            slug: tenant.slug.clone(),
            name: tenant.name.clone(),
            issuer: tenant.issuer.clone(),
            root_organization_id: tenant.root_organization_id,
        };
        self.0.owner().await?.insert_root_organization(&new).await?;
        Ok(format!("{} is the root", tenant.root_organization_id))
    }

    /// A tenant's roles are the matrix's, and its issuer gives them to people; PostgreSQL's scope roles must let them in.
    async fn roles(&self, run: &Run, tenant: &TenantRecord) -> Result<String, StepError> {
        let may_look = self.0.owner().await?.scope_roles_of(tenant.tenant_id).await?;
        if may_look != SCOPE_ROLES {
            let found = may_look.join(", ");
            return Err(StepError::permanent("scope-roles", format!("only these look into the schema: {found}")));
        }
        let roles: Vec<&str> =
            Role::ALL.iter().filter(|role| **role != Role::PlatformOperator).map(|role| role.name()).collect();
        run.keep("roles", &roles).await?;
        Ok(roles.join(", "))
    }

    async fn issuer(&self, tenant: &TenantRecord) -> Result<String, StepError> {
        if self.0.operator_issuer.as_deref() == Some(tenant.issuer.as_str()) {
            return Err(StepError::permanent("issuer", "the issuer is the operators' own"));
        }
        match self.0.issuers.look(&tenant.issuer).await {
            Ok(keys) => Ok(format!("{keys} usable keys")),
            Err(IssuerFault::Away(reason)) => Err(StepError::Temporary(format!("the issuer: {reason}"))),
            Err(IssuerFault::Unusable(reason)) => Err(StepError::permanent("issuer", format!("the issuer: {reason}"))),
        }
    }

    async fn activate(&self, run: &Run, tenant: &TenantRecord) -> Result<String, StepError> {
        let id = tenant.tenant_id;
        if !self.0.owner().await?.has_schema_of(id).await? {
            return Err(StepError::permanent("illegal-state", "the schema is gone: call the operation off"));
        }
        let to = Move { from: TenantStatus::Provisioning, to: TenantStatus::Active, reason: None, leaves_at: None };
        let event = PlatformEvent {
            actor: run.grant().actor(),
            action: "tenant.provisioned",
            subject_kind: "tenant",
            subject_id: Some(id.0),
            tenant_id: Some(id),
            request_id: None,
            details: json!({ "slug": tenant.slug }),
            now: run.now(),
        };
        run.db()
            .operator(run.grant(), "lifecycle.activate", async |tx| {
                if store::move_status(tx, id, &to).await? {
                    return Ok(audit_platform(tx, &event).await?);
                }
                match tenant.status {
                    TenantStatus::Active => Ok(()), // done before, and not recorded
                    other => Err(StepError::permanent("illegal-state", format!("the tenant is {other}"))),
                }
            })
            .await?;
        self.0.tenants.forget_all(&[tenant.tenant_id].into()).await;
        Ok("served".to_owned())
    }
}

async fn first_admin(run: &Run, tenant: &TenantRecord) -> Result<String, StepError> {
    let Some(admin) = run.input::<Provisioning>().await?.admin else {
        return Ok("nobody was named".to_owned());
    };
    let (id, root) = (tenant.tenant_id, tenant.root_organization_id);
    #[allow(clippy::disallowed_methods, reason = "provisioning makes the first user")]
    let grant = Grant::system(id, root, root, "provisioning", Permission::ManageUsers);
    let (user, now) = (UserId::new(), run.now());
    let made: Result<bool, DbError> = run
        .db()
        .tenant(&grant, "lifecycle.first_admin", async |tx| {
            let made = store::insert_admin(tx, user, &admin, now).await?;
            if made {
                audit(tx, "user.created", "user", Some(user.0), root, json!({ "by": "provisioning" })).await?;
            }
            Ok(made)
        })
        .await;
    Ok(if made? { format!("user {user}") } else { "the subject is a user already".to_owned() })
}
