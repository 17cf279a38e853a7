//! The application as `plumbline serve` composes it, on a port of its own, over a database of its own.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use plumbline::{
    app::App,
    demo::{
        issuer::{DevIssuer, TokenRequest},
        standins::{StandInOptions, StandIns},
    },
    foundation::{
        access::{Grant, Permission},
        clock::Clock,
        config::{self, Config},
        ids::{OrganizationId, TenantId},
    },
    platform::{
        db::{Connections, NewTenant, Owner, schema_name},
        jobs::Worker,
    },
};
use poem::listener::TcpAcceptor;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    client::{Answer, Client},
    database::{self, Database},
    samples,
};

/// Tokens outlive any clock that a test moves.
const TOKEN_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The realm of the people who run Plumbline.
const OPERATORS: &str = "plumbline-operators";

/// The running application. Time stands still until [`TestApp::advance`].
pub struct TestApp {
    pub app: App,
    pub clock: Clock,
    pub database: Database,
    pub stand_ins: StandIns,
    pub issuer: DevIssuer,
    pub base: String,
    pub objects: tempfile::TempDir,
    worker: Arc<Worker>,
    _stop: DropGuard,
}

/// A tenant with two organizations: `sales` and `support`.
pub struct TestTenant {
    pub id: TenantId,
    pub slug: String,
    pub root: OrganizationId,
    pub schema: String,
    pub sales: String,
    pub support: String,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// With other settings than the usual ones; `server.bind` is the address that will be served.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_stand_ins(StandInOptions::default(), change).await
    }

    /// With other providers as well.
    pub async fn with_stand_ins(options: StandInOptions, change: impl FnOnce(&mut Config)) -> Self {
        let database = database::fresh().await;
        let clock = Clock::fixed("2026-11-23T09:00:00Z".parse().unwrap());
        let stand_ins = StandIns::start(options).await.unwrap();
        let issuer = DevIssuer::start(0, None, clock.clone()).await.unwrap();
        let objects = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = settings(&stand_ins, objects.path());
        config.server.bind = listener.local_addr().unwrap();
        config.identity.operator_issuer = Some(issuer.open_realm(OPERATORS).unwrap());
        change(&mut config);
        let connections = Connections::to(database.login.clone(), config.database.lanes);
        let app = App::over(config, connections, clock.clone()).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let service = app.service();
        let stopped = stop.clone().cancelled_owned();
        let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
        tokio::spawn(async move {
            let server = poem::Server::new_with_acceptor(acceptor);
            server.run_with_graceful_shutdown(service, stopped, None).await.unwrap();
        });
        let worker = app.worker();
        Self { app, clock, database, stand_ins, issuer, base, objects, worker, _stop: stop.drop_guard() }
    }

    /// Makes a tenant whose issuer is a realm of ours.
    pub async fn tenant(&self, slug: &str) -> TestTenant {
        let new = NewTenant {
            tenant_id: TenantId::new(),
            slug: slug.to_owned(),
            name: slug.to_owned(),
            issuer: self.issuer.open_realm(slug).unwrap(),
            root_organization_id: OrganizationId::new(),
        };
        Owner::connect(&self.database.owner).await.unwrap().create_tenant(&new).await.unwrap();
        let mut tenant = TestTenant {
            id: new.tenant_id,
            slug: slug.to_owned(),
            root: new.root_organization_id,
            schema: schema_name(new.tenant_id),
            sales: String::new(),
            support: String::new(),
        };
        tenant.sales = self.organization(&tenant, "sales").await;
        tenant.support = self.organization(&tenant, "support").await;
        tenant
    }

    /// A tenant whose organizations have a published scorecard each.
    pub async fn ready_tenant(&self, slug: &str) -> TestTenant {
        let tenant = self.tenant(slug).await;
        for organization in [&tenant.sales, &tenant.support] {
            self.publish(&tenant, organization, &samples::scorecard()).await;
        }
        tenant
    }

    /// One more organization, in which nothing is published.
    pub async fn organization_without_criteria(&self, tenant: &TestTenant) -> String {
        self.organization(tenant, "bare").await
    }

    async fn organization(&self, tenant: &TestTenant, slug: &str) -> String {
        let new = json!({"slug": slug, "name": slug});
        let made = self.admin(tenant).post("/api/organizations", &new).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("organization_id")
    }

    /// Makes and publishes a scorecard; returns its id.
    pub async fn publish(&self, tenant: &TestTenant, organization: &str, definition: &Value) -> String {
        let admin = self.admin(tenant);
        let new = json!({"organization_id": organization, "definition": definition});
        let made = admin.post("/api/evaluation-criteria", &new).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let id = made.text("scorecard_id");
        admin.post(&format!("/api/evaluation-criteria/{id}/publish"), &json!({})).await.expect(201);
        id
    }

    /// An agent who can log in: the agent's id, and the agent as a caller.
    pub async fn agent(&self, tenant: &TestTenant, organization: &str, name: &str) -> (String, Client) {
        let admin = self.admin(tenant);
        let user = json!({"organization_id": organization, "subject": name, "display_name": name});
        let user = admin.post("/api/users", &user).await.text("user_id");
        let agent = json!({"organization_id": organization, "display_name": name, "user_id": user});
        let agent = admin.post("/api/agents", &agent).await.text("agent_id");
        let slug = if organization == tenant.sales { "sales" } else { "support" };
        (agent, self.caller(tenant, name, "agent", &[slug]))
    }

    pub fn anonymous(&self) -> Client {
        Client::new(self.base.clone(), None)
    }

    pub fn admin(&self, tenant: &TestTenant) -> Client {
        self.caller(tenant, "admin", "tenant_admin", &[])
    }

    /// Somebody who runs Plumbline.
    pub fn operator(&self) -> Client {
        self.holder(OPERATORS, "olga", "platform_operator", &[])
    }

    /// Somebody with a role in some organizations, by their slugs.
    pub fn caller(&self, tenant: &TestTenant, subject: &str, role: &str, organizations: &[&str]) -> Client {
        self.holder(&tenant.slug, subject, role, organizations)
    }

    /// Somebody with a token of one of the issuer's realms.
    pub fn holder(&self, realm: &str, subject: &str, role: &str, organizations: &[&str]) -> Client {
        let request = TokenRequest {
            subject: subject.to_owned(),
            roles: vec![role.to_owned()],
            organizations: organizations.iter().map(|&slug| slug.to_owned()).collect(),
            audience: "plumbline".to_owned(),
            lifetime: TOKEN_LIFETIME,
        };
        Client::new(self.base.clone(), Some(self.issuer.token(realm, &request).unwrap()))
    }

    /// Leave to read what the stages stored.
    #[allow(clippy::disallowed_methods, reason = "a test's own grant")]
    pub fn grant(&self, tenant: &TestTenant, organization: &str) -> Grant {
        Grant::system(tenant.id, tenant.root, organization.parse().unwrap(), "test", Permission::EvaluateCalls)
    }

    /// Jobs of a tenant in one state, as its admin sees them.
    pub async fn jobs(&self, tenant: &TestTenant, status: &str) -> Vec<Value> {
        let listed = self.admin(tenant).get(&format!("/api/jobs?status={status}")).await.expect(200);
        listed["items"].as_array().unwrap().clone()
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    /// Runs every job that is due.
    pub async fn drain(&self) {
        self.worker.drain().await.unwrap();
    }

    /// Does every operation whose time has come, as the operator's process does; returns how many were taken up.
    pub async fn operate(&self) -> usize {
        self.app.runner(&self.database.owner).drain().await.unwrap()
    }

    /// Lets time pass and runs jobs until none waits.
    pub async fn drain_all(&self) {
        for _ in 0..100 {
            self.drain().await;
            if self.worker.waiting().await.unwrap() == 0 {
                return;
            }
            self.advance(1_000);
        }
        panic!("jobs wait for ever");
    }

    /// Keys of everything in the object store.
    pub async fn objects(&self) -> Vec<String> {
        let objects: Vec<_> = self.app.objects().list(None).try_collect().await.unwrap();
        objects.into_iter().map(|object| object.location.to_string()).collect()
    }

    /// Every file of the object store's directory, also those that no list shows.
    pub fn files(&self) -> Vec<std::path::PathBuf> {
        let (mut files, mut left) = (vec![], vec![self.objects.path().to_owned()]);
        while let Some(directory) = left.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { left.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// Sends a written conversation; returns the call's id.
    pub async fn send(&self, client: &Client, conversation: &Value) -> String {
        let sent = client.post("/api/calls", conversation).await;
        assert_eq!(sent.status, 202, "{}", sent.body);
        sent.text("call_id")
    }

    pub async fn call(&self, client: &Client, id: &str) -> Value {
        client.get(&format!("/api/calls/{id}")).await.expect(200)
    }

    pub async fn analysis(&self, client: &Client, id: &str) -> Answer {
        client.get(&format!("/api/calls/{id}/analysis")).await
    }

    /// Every test's end: no job is left behind that nobody looked at.
    pub async fn finish(self) {
        assert_eq!(self.worker.waiting().await.unwrap(), 0, "jobs are left in the queue");
    }
}

fn settings(stand_ins: &StandIns, objects: &std::path::Path) -> Config {
    let mut config = config::load(None).unwrap();
    config.server.public_url = None;
    config.database.url = None;
    config.database.lanes = 4;
    config.objects.bucket = None;
    config.objects.directory = objects.to_owned();
    config.identity.trust_development_issuer = true;
    config.crypto.master_key = Some("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned().into());
    config.speech.provider = Some(config::SpeechProvider::None);
    config.speech.recogniser_base_url = None;
    config.speech.assemblyai_base_url = stand_ins.assemblyai_url();
    config.speech.assemblyai_api_key = Some(stand_ins.assemblyai_key());
    config.speech.poll_seconds = 0.1;
    config.language_model.base_url = stand_ins.openai_url();
    config.language_model.api_key = Some(stand_ins.openai_key());
    config.language_model.model = "stand-in-phrase-rules-1".to_owned();
    config.language_model.organization = None;
    config.language_model.project = None;
    config.worker.abandoned_upload_seconds = 0;
    config.plugins.validator = Some(env!("CARGO_BIN_EXE_plumbline").into());
    config.plugins.artefacts = objects.join("artefacts");
    config
}
