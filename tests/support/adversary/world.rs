//! A world with something of everything in it, made by the API itself: tenants, their organizations, and callers of all roles.

use std::{collections::HashMap, sync::Arc};

use object_store::ObjectStoreExt;
use poem::{Endpoint, Response, endpoint::BoxEndpoint};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client as Postgres;
use uuid::Uuid;

use super::{
    caller::Caller,
    callers,
    cursors::{self, CursorOf},
    document::Document,
    journal,
    things::{Owner, Things, canary},
};
use crate::support::{Answer, Client, TestApp, TestTenant, conversation, scorecard, wav};

/// One request of the furnishing, to be sent again by others.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: Method,
    pub path: String,
    pub key: Option<String>,
    pub body: Value,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Got {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The furnished application, past which everything is seen through the owner's connection.
pub struct World {
    pub app: TestApp,
    pub document: Document,
    pub owner: Postgres,
    pub tenants: Vec<TestTenant>,
    pub callers: Vec<Caller>,
    pub things: Things,
    pub cursors: Vec<CursorOf>,
    pub sent: Vec<Sent>,
    /// Recordings that organizations have: the tone, and whose it is.
    pub tones: Vec<(u16, Owner)>,
    /// The archive of a tenant that lives nowhere.
    pub archive: Arc<[u8]>,
    service: BoxEndpoint<'static, Response>,
    canaries: u64,
    admins: HashMap<Uuid, Client>,
}

impl World {
    /// Furnishes a new world.
    pub async fn new() -> Self {
        let app = TestApp::start().await;
        let document = Document::new(app.anonymous().get("/openapi.json").await.expect(200));
        let (owner, service) = (app.database.connect().await, app.app.service());
        let mut world = Self {
            app,
            document,
            owner,
            service,
            tenants: vec![],
            callers: vec![],
            things: Things::default(),
            cursors: vec![],
            sent: vec![],
            tones: vec![],
            archive: an_archive().await,
            canaries: 0,
            admins: HashMap::new(),
        };
        // The third has less, so that its callers are told from the others' by what they lack.
        for (n, slug) in ["acme-telephones", "globex-telephones", "initech-telephones"].into_iter().enumerate() {
            let tenant = world.app.tenant(slug).await;
            world.furnish(&tenant, &tenant.sales).await;
            if n < 2 {
                world.furnish(&tenant, &tenant.support).await;
                world.close_an_organization(&tenant).await;
            }
            world.long_requests(&tenant, n < 2).await;
            world.a_finished_export(&tenant).await;
            world.tenants.push(tenant);
        }
        world.tenants_that_are_not_served().await;
        world.callers = callers::all(&world).await;
        journal::begin(&world.owner).await;
        world.things = Things::read(&world.owner).await;
        world.cursors = cursors::all(&world).await;
        world
    }

    /// The tenant's admin; a client is dear to make.
    fn admin(&mut self, tenant: &TestTenant) -> Client {
        self.admins.entry(tenant.id.0).or_insert_with(|| self.app.admin(tenant)).clone()
    }

    /// Names of the document's operations.
    #[allow(dead_code, reason = "the bench tells of them")]
    pub fn operations(&self) -> Vec<String> {
        self.document.operations.iter().map(|operation| operation.id.clone()).collect()
    }

    /// A text with a canary in it.
    fn text(&mut self, words: &str) -> String {
        self.canaries += 1;
        format!("{words} {}", canary(self.canaries))
    }

    /// A canary alone, where words may not stand.
    fn word(&mut self) -> String {
        self.canaries += 1;
        canary(self.canaries)
    }

    /// As the tenant's admin, with an idempotency key; remembered for others to try.
    async fn post(&mut self, tenant: &TestTenant, path: &str, body: Value) -> Answer {
        let key = self.word();
        let answer = self.admin(tenant).post_once(path, &key, &body).await;
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.body);
        self.sent.push(Sent { method: Method::POST, path: path.to_owned(), key: Some(key), body });
        answer
    }

    /// Users, agents who can log in, criteria, written calls of each agent, a recording that fails, and a piece of work at a recogniser.
    pub async fn furnish(&mut self, tenant: &TestTenant, organization: &str) {
        let name = self.text("Organization");
        let path = format!("/api/organizations/{organization}");
        let rename = self.admin(tenant).request(Method::PATCH, &path).header("if-match", "*");
        Answer::to(rename.json(&json!({ "name": name }))).await.expect(200);
        self.criteria(tenant, organization).await;
        for _ in 0..2 {
            let agent = self.agent(tenant, organization).await;
            self.call(tenant, organization, &agent).await;
        }
        // Somebody who is no agent yet.
        let user = json!({"organization_id": organization, "display_name": self.text("Uma")});
        self.post(tenant, "/api/users", user).await;
        self.recording(tenant, organization).await;
        self.app.drain_all().await;
        self.an_answer_of_a_person(tenant, organization).await;
        self.rescore(tenant, organization).await;
        self.backtest(tenant, organization).await;
        self.work_at_a_recogniser(tenant, organization).await;
    }

    /// Nobody gives it here: it is there to be tried.
    async fn an_answer_of_a_person(&mut self, tenant: &TestTenant, organization: &str) {
        let text = format!("select evaluation_id from {}.evaluations where organization_id = $1", tenant.schema);
        let organization = organization.parse::<Uuid>().unwrap();
        for row in self.owner.query(&text, &[&organization]).await.unwrap() {
            let path = format!("/api/evaluations/{}/answers", row.get::<_, Uuid>(0));
            let body = json!({"criterion": "form", "verdict": "yes", "rationale": "Every field is filled in."});
            self.sent.push(Sent { method: Method::POST, path, key: None, body });
        }
    }

    /// A re-score that has ended, and one that nobody works off here.
    async fn rescore(&mut self, tenant: &TestTenant, organization: &str) {
        for status in ["waiting", "succeeded"] {
            let by = format!("user:{}", self.word());
            let text = format!(
                "with made as (
                     insert into {0}.rescores
                         (rescore_id, organization_id, scorecard_version_id, status, requested_by, created_at, ended_at)
                     select gen_random_uuid(), organization_id, scorecard_version_id, $2, $3, now(), case when $2 = 'succeeded' then now() end
                     from {0}.scorecard_versions where organization_id = $1 order by published_at limit 1
                     returning rescore_id
                 )
                 insert into {0}.rescore_items (rescore_id, call_id, organization_id, agent_id, status, before_id)
                 select made.rescore_id, e.call_id, e.organization_id, e.agent_id, 'waiting', e.evaluation_id
                 from {0}.evaluations e cross join made where e.organization_id = $1",
                tenant.schema
            );
            let organization = organization.parse::<Uuid>().unwrap();
            self.owner.execute(&text, &[&organization, &status, &by]).await.unwrap();
        }
    }

    /// A scorer of the tenant's with bytes of its own, a back-test of it that has ended, and one that nobody works off here.
    async fn backtest(&mut self, tenant: &TestTenant, organization: &str) {
        // One that was furnished before still waits, and an organization has one at a time.
        let text = format!(
            "update {}.backtests set status = 'cancelled', ended_at = now()
             where organization_id = $1 and status in ('waiting', 'running')",
            tenant.schema
        );
        self.owner.execute(&text, &[&organization.parse::<Uuid>().unwrap()]).await.unwrap();
        let component = with_a_word(EXAMPLE, &self.word());
        let digest = plumbline::foundation::digest::of_bytes(&component);
        let key = format!("{}/plugins/{digest}.wasm", tenant.id);
        let (name, size) = (self.word(), i64::try_from(component.len()).unwrap());
        self.app.app.objects().put(&key.as_str().into(), component.into()).await.unwrap();
        let text = format!(
            "insert into {}.plugin_versions (digest, organization_id, name, version, world, size_bytes, object_key, created_at)
             values ($1, $2, $3, '1.0.0', 'scorer', $4, $5, now())",
            tenant.schema
        );
        self.owner.execute(&text, &[&digest, &tenant.root, &name, &size, &key]).await.unwrap();
        let path = format!("/api/plugins/{digest}/backtests");
        self.post(tenant, &path, json!({"organization_id": organization, "settings": {}})).await;
        self.app.drain_all().await;
        let body = json!({"organization_id": organization, "settings": {}, "dry_run": true});
        self.sent.push(Sent { method: Method::POST, path, key: None, body });
        let (settings, by) = (json!({"more": self.text("Settings")}), format!("user:{}", self.word()));
        let text = format!(
            "insert into {}.backtests
                 (backtest_id, organization_id, digest, settings, settings_digest, filter, status, calls_total, requested_by, created_at)
             values (gen_random_uuid(), $1, $2, $3, $4, '{{\"most_calls\": 10}}', 'waiting', 2, $5, now())",
            tenant.schema
        );
        let settings_digest = plumbline::foundation::digest::of_json(&settings);
        let id = organization.parse::<Uuid>().unwrap();
        self.owner.execute(&text, &[&id, &digest, &settings, &settings_digest, &by]).await.unwrap();
        self.use_of_a_plugin(tenant, organization, &digest).await;
    }

    /// An organization's use of a version, what it asks of one, and what a run of one said.
    async fn use_of_a_plugin(&mut self, tenant: &TestTenant, organization: &str, digest: &str) {
        let body = json!({"organization_id": organization, "digest": digest, "mode": "shadow"});
        let binding = self.post(tenant, "/api/plugin-bindings", body).await.text("binding_id");
        let (message, by) = (self.text("It trapped"), format!("user:{}", self.word()));
        let text = format!(
            "with asked as (
                 insert into {0}.plugin_policies (organization_id, backtest_calls, updated_by, updated_at) values ($1, 5, $5, now())
                 on conflict (organization_id) do update set updated_by = excluded.updated_by
             )
             insert into {0}.plugin_runs
                 (plugin_run_id, organization_id, digest, binding_id, purpose, outcome, message, fuel, elapsed_us, memory_bytes, ran_at)
             values (gen_random_uuid(), $1, $2, $3, 'shadow', 'trap', $4, 1, 1, 1, now())",
            tenant.schema
        );
        let (organization, binding) = (organization.parse::<Uuid>().unwrap(), binding.parse::<Uuid>().unwrap());
        self.owner.execute(&text, &[&organization, &digest, &binding, &message, &by]).await.unwrap();
    }

    async fn criteria(&mut self, tenant: &TestTenant, organization: &str) {
        for published in [true, true, false] {
            let mut definition = scorecard();
            definition["name"] = json!(self.text("Service"));
            definition["description"] = json!(self.text("What is judged"));
            definition["sections"][0]["name"] = json!(self.text("Opening"));
            definition["sections"][0]["criteria"][0]["question"] = json!(self.text("Was it"));
            let form = json!({"key": "form", "question": self.text("Is the form right"), "answered_by": "human"});
            definition["sections"][0]["criteria"].as_array_mut().unwrap().push(form);
            let new = json!({"organization_id": organization, "definition": definition});
            let id = self.post(tenant, "/api/evaluation-criteria", new).await.text("scorecard_id");
            if published {
                self.post(tenant, &format!("/api/evaluation-criteria/{id}/publish"), json!({})).await;
            }
        }
    }

    /// An agent and its user; the user's subject is the agent's external id.
    async fn agent(&mut self, tenant: &TestTenant, organization: &str) -> String {
        let (subject, email) = (self.word(), format!("{}@example.com", self.word()));
        let user = json!({"organization_id": organization, "subject": subject, "display_name": self.text("Ana"), "email": email});
        let user = self.post(tenant, "/api/users", user).await.text("user_id");
        let agent = json!({"organization_id": organization, "display_name": self.text("Ana"), "external_id": self.word(), "user_id": user});
        self.post(tenant, "/api/agents", agent).await.text("agent_id")
    }

    async fn call(&mut self, tenant: &TestTenant, organization: &str, agent: &str) {
        let mut call = conversation(organization);
        call["agent_id"] = json!(agent);
        call["external_id"] = json!(self.word());
        for n in 0..3 {
            let said = call["utterances"][n]["text"].as_str().unwrap().to_owned();
            call["utterances"][n]["text"] = json!(self.text(&said));
        }
        self.post(tenant, "/api/calls", call).await;
    }

    /// There is no recogniser, so the call fails and leaves a dead job.
    async fn recording(&mut self, tenant: &TestTenant, organization: &str) {
        let tone = 11 + u16::try_from(self.tones.len()).unwrap();
        let query = format!("organization_id={organization}&external_id={}", self.word());
        self.admin(tenant).upload(&query, wav(tone)).await.expect(202);
        let owner = Owner { tenant: Some(tenant.id.0), organization: organization.parse().ok(), ..Owner::default() };
        self.tones.push((tone, Owner { agent: Some(Uuid::nil()), ..owner }));
    }

    /// What a recogniser of whom nobody is asked would have been told: the secret with which it reports.
    async fn work_at_a_recogniser(&mut self, tenant: &TestTenant, organization: &str) {
        let secret = self.word().repeat(4);
        let text = format!(
            "insert into {}.transcriptions (call_id, organization_id, provider, reference, webhook_secret, submitted_at)
             select call_id, organization_id, 'assemblyai', call_id::text, $2, received_at
             from {0}.calls where organization_id = $1 and status = 'failed' on conflict do nothing",
            tenant.schema
        );
        self.owner.execute(&text, &[&organization.parse::<Uuid>().unwrap(), &secret]).await.unwrap();
    }

    /// An organization that was furnished and then deactivated: nobody reaches it, not even the tenant's admin.
    async fn close_an_organization(&mut self, tenant: &TestTenant) {
        let new = json!({"slug": format!("closed-{}", self.word()), "name": self.text("Closed")});
        let closed = self.post(tenant, "/api/organizations", new).await.text("organization_id");
        self.criteria(tenant, &closed).await;
        let agent = self.agent(tenant, &closed).await;
        self.call(tenant, &closed, &agent).await;
        self.app.drain_all().await;
        self.post(tenant, &format!("/api/organizations/{closed}/deactivate"), json!({})).await;
    }

    /// An export whose archive is there to be fetched.
    async fn a_finished_export(&mut self, tenant: &TestTenant) {
        let (by, content) = (format!("user:{}", self.word()), self.text("the archive of a tenant"));
        let now = self.app.now();
        let summary = json!({"archive": {
            "sha256": plumbline::foundation::digest::of_bytes(content.as_bytes()), "size_bytes": content.len(),
            "manifest_digest": "ab", "exported_at": now, "expires_at": now + chrono::TimeDelta::days(30),
            "rows": {}, "jobs": 0, "objects": 0, "object_bytes": 0, "missing_objects": 0
        }});
        let text = "insert into platform.operations (operation_id, kind, tenant_id, root_organization_id, status, input, steps, result,
                run_at, requested_by, created_at, ended_at)
            values (gen_random_uuid(), 'export_tenant', $1, $2, 'succeeded', '{}', '[]', $3, now(), $4, now(), now())
            returning operation_id";
        let row = self.owner.query_one(text, &[&tenant.id, &tenant.root, &summary, &by]).await.unwrap();
        let key = plumbline::platform::archive::export_key(tenant.id, row.get(0));
        self.app.app.objects().put(&key.as_str().into(), content.into_bytes().into()).await.unwrap();
    }

    /// An export that waits, or something else where one can still be asked for, and one that failed: nobody works them off here.
    async fn long_requests(&mut self, tenant: &TestTenant, exports: bool) {
        let waiting = if exports { "export_tenant" } else { "provision_tenant" };
        for (kind, failed) in [(waiting, false), ("clone_tenant", true)] {
            let reason = failed.then(|| self.text("The disk is full"));
            let text = "insert into platform.operations (operation_id, kind, tenant_id, root_organization_id, status, input, steps, result,
                    error_kind, error_reason, run_at, requested_by, created_at, ended_at)
                values (gen_random_uuid(), $1, $2, $3, case when $4::text is null then 'waiting' else 'failed' end, '{}', '[]', '{}',
                    case when $4 is not null then 'storage' end, $4, now(), $5, now(), case when $4 is not null then now() end)";
            let by = format!("user:{}", self.word());
            self.owner.execute(text, &[&kind, &tenant.id, &tenant.root, &reason, &by]).await.unwrap();
        }
    }

    /// One that is suspended, one that is being made, and one of which a name and a certificate are left.
    async fn tenants_that_are_not_served(&mut self) {
        let suspended = self.app.tenant("hooli-telephones").await;
        let text = "update platform.tenants set status = 'suspended', status_reason = $2 where tenant_id = $1";
        let reason = self.text("unpaid");
        self.owner.execute(text, &[&suspended.id, &reason]).await.unwrap();
        for status in ["destroyed", "provisioning"] {
            let word = self.word();
            let text = "insert into platform.tenants (tenant_id, slug, name, status, issuer, root_organization_id)
                values (gen_random_uuid(), $2 || '-' || $1, $1, $2, 'https://issuer.example/' || $1, gen_random_uuid())";
            self.owner.execute(text, &[&word, &status]).await.unwrap();
        }
        let text = "insert into platform.certificates (tenant_id, slug, document, digest, issued_at)
            select tenant_id, slug, jsonb_build_object('slug', slug), repeat('ab', 32), now()
            from platform.tenants where status = 'destroyed'";
        self.owner.execute(text, &[]).await.unwrap();
    }

    /// Asks the service itself, without a network between.
    pub async fn ask(
        &self,
        caller: &Caller,
        method: &Method,
        path: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Got {
        // Names are filters, too, and have blanks.
        let uri = path.replace(' ', "%20").parse().unwrap();
        let mut request = poem::Request::builder().method(method.clone()).uri(uri);
        if let Some(token) = &caller.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(name.as_str(), value);
        }
        let response = self.service.get_response(request.body(body)).await;
        let status = response.status().as_u16();
        let text = |value: &poem::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = response.into_body().into_bytes().await.unwrap_or_default().to_vec();
        Got { status, headers, body }
    }
}

const EXAMPLE: &[u8] = include_bytes!("../../../plugins/monologue_deduction/monologue_deduction.wasm");

/// The same component with other bytes: a section that nobody reads.
fn with_a_word(component: &[u8], word: &str) -> Vec<u8> {
    let length = u8::try_from(word.len()).unwrap();
    let mut out = component.to_vec();
    out.extend([0, length + 1, length]); // both lengths below 128
    out.extend(word.as_bytes());
    out
}

/// Whole, and of a tenant without tables.
async fn an_archive() -> Arc<[u8]> {
    use plumbline::{
        foundation::ids::{OrganizationId, TenantId},
        platform::{
            archive::file::{ArchivedTenant, Header, Writer},
            db::newest_tenant_version,
        },
    };
    let tenant = ArchivedTenant {
        tenant_id: TenantId::new(),
        slug: "elsewhere".to_owned(),
        name: "Elsewhere".to_owned(),
        root_organization_id: OrganizationId::new(),
    };
    let header = Header::new(newest_tenant_version(), vec![], tenant, "2026-11-23T09:00:00Z".parse().unwrap());
    let writer = Writer::begin(Vec::new(), &header).await.unwrap();
    writer.finish(vec![]).await.unwrap().0.into()
}
