//! Who is calling, and a tenant's organizations, users and agents: through the API, against a real PostgreSQL and issuers on loopback.
//! Each test makes a tenant of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use plumbline::{
    demo::issuer::{DevIssuer, TokenRequest},
    foundation::{
        clock::Clock,
        ids::{OrganizationId, TenantId},
    },
    platform::{
        db::{Connections, Db, NewTenant, Owner, schema_name},
        identity::{
            Authenticator, IssuerKeys, Members, TokenRules,
            agents::{Agents, api::AgentsApi},
            users::{Users, api::UsersApi},
        },
        tenancy::{
            Tenants,
            organizations::{Organizations, api::OrganizationsApi},
        },
    },
};
use poem::{
    EndpointExt, Route, Server,
    endpoint::BoxEndpoint,
    get, handler,
    listener::TcpAcceptor,
    web::{Data, Json},
};
use poem_openapi::OpenApiService;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_postgres::Config;

use crate::support::{self, Database};

/// The API on a port of its own.
struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    async fn new(endpoint: BoxEndpoint<'static>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let acceptor = TcpAcceptor::from_tokio(listener).expect("a listener");
        tokio::spawn(async move { Server::new_with_acceptor(acceptor).run(endpoint).await.expect("serving") });
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { base, http }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base))
    }

    fn patch(&self, path: &str) -> RequestBuilder {
        self.http.patch(format!("{}{path}", self.base))
    }
}

/// The database, made once for all tests of this file.
async fn database() -> (Config, Config) {
    static MADE: tokio::sync::OnceCell<Database> = tokio::sync::OnceCell::const_new();
    let Database { owner, login } = MADE.get_or_init(support::fresh).await.clone();
    (owner, login)
}

/// One tenant with an issuer, and the API as its callers see it.
struct World {
    issuer: DevIssuer,
    realm: String,
    tenant: NewTenant,
    owner: Config,
    client: Client,
}

impl World {
    async fn new() -> Self {
        let issuer = DevIssuer::start(0, None, Clock::system()).await.expect("an issuer");
        let tenant_id = TenantId::new();
        let realm = format!("r{}", &tenant_id.0.simple().to_string()[16..]);
        let name = issuer.open_realm(&realm).expect("a realm");
        Self::with(issuer, realm, &name, true).await
    }

    async fn with(issuer: DevIssuer, realm: String, issuer_name: &str, trust_development: bool) -> Self {
        let (owner, login) = database().await;
        let tenant = NewTenant {
            tenant_id: TenantId::new(),
            slug: realm.clone(),
            name: "Acme".to_owned(),
            issuer: issuer_name.to_owned(),
            root_organization_id: OrganizationId::new(),
        };
        Owner::connect(&owner).await.expect("the owner").create_tenant(&tenant).await.expect("a tenant");
        let db = Arc::new(Db::new(Connections::to(login, 4).open().expect("connections")));
        let client = Client::new(api(db, trust_development)).await;
        Self { issuer, realm, tenant, owner, client }
    }

    /// Runs a statement as the owner.
    async fn sql(&self, statement: &str) {
        let (client, connection) = self.owner.connect(tokio_postgres::NoTls).await.expect("PostgreSQL");
        tokio::spawn(connection);
        client.batch_execute(statement).await.expect("a statement");
    }

    async fn count(&self, query: &str) -> i64 {
        let (client, connection) = self.owner.connect(tokio_postgres::NoTls).await.expect("PostgreSQL");
        tokio::spawn(connection);
        client.query_one(query, &[]).await.expect("a row").get(0)
    }

    fn token(&self, subject: &str, role: &str, organizations: &[&str]) -> String {
        self.issuer.token(&self.realm, &request(subject, role, organizations)).expect("a token")
    }

    fn admin(&self) -> String {
        self.token("admin", "tenant_admin", &[])
    }

    async fn get(&self, path: &str, token: &str) -> Response {
        self.client.get(path).header("authorization", format!("Bearer {token}")).send().await.expect("an answer")
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Response {
        self.client
            .post(path)
            .header("authorization", format!("Bearer {token}"))
            .json(&body)
            .send()
            .await
            .expect("an answer")
    }

    async fn patch(&self, path: &str, token: &str, etag: &str, body: Value) -> Response {
        let request = self.client.patch(path).header("authorization", format!("Bearer {token}"));
        request.header("if-match", etag).json(&body).send().await.expect("an answer")
    }

    async fn organization(&self, slug: &str) -> String {
        let made = self.post("/api/organizations", &self.admin(), json!({"slug": slug, "name": slug})).await;
        let (status, body, _) = read(made).await;
        assert_eq!(status, 201, "{body}");
        text(&body, "organization_id")
    }
}

fn api(db: Arc<Db>, trust_development: bool) -> BoxEndpoint<'static> {
    let (tenants, members) = (Arc::new(Tenants::new(db.clone())), Arc::new(Members::new(db.clone())));
    let keys = IssuerKeys::new(trust_development).expect("clients");
    let clock = Clock::system();
    let authenticator =
        Authenticator::new(tenants.clone(), members.clone(), keys, TokenRules::default(), clock.clone());
    let service = OpenApiService::new(
        (
            OrganizationsApi { organizations: Organizations::new(db.clone(), tenants, clock.clone()) },
            UsersApi { users: Users::new(db.clone(), members.clone(), clock.clone()) },
            AgentsApi { agents: Agents::new(db, members, clock) },
        ),
        "test",
        "1",
    );
    Route::new().nest("/", service).data(Arc::new(authenticator)).map_to_response().boxed()
}

fn request(subject: &str, role: &str, organizations: &[&str]) -> TokenRequest {
    TokenRequest {
        subject: subject.to_owned(),
        roles: vec![role.to_owned()],
        organizations: organizations.iter().map(|&slug| slug.to_owned()).collect(),
        audience: "plumbline".to_owned(),
        lifetime: Duration::from_secs(300),
    }
}

async fn read(response: Response) -> (u16, Value, String) {
    let status = response.status().as_u16();
    let etag = header_of(&response, "etag").unwrap_or_default();
    let bytes = response.bytes().await.expect("a body");
    (status, serde_json::from_slice(&bytes).unwrap_or_default(), etag)
}

fn header_of(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().expect("text").to_owned())
}

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_else(|| panic!("{field} in {body}")).to_owned()
}

#[tokio::test]
async fn an_organization_is_usable_at_once_and_invisible_to_others() {
    let world = World::new().await;
    let sales = world.organization("sales").await;
    let support = world.organization("support").await;
    let path = format!("/api/organizations/{sales}");
    assert_eq!(read(world.get(&path, &world.admin()).await).await.0, 200);
    let evaluator = world.token("eve", "evaluator", &["support", "nowhere"]);
    assert_eq!(read(world.get(&path, &evaluator).await).await.0, 404);
    assert_eq!(read(world.get(&format!("/api/organizations/{support}"), &evaluator).await).await.0, 200);
    let (status, listed, _) = read(world.get("/api/organizations", &evaluator).await).await;
    assert_eq!((status, listed["items"].as_array().map(Vec::len)), (200, Some(1)));
    let denied = world.post("/api/organizations", &evaluator, json!({"slug": "mine", "name": "Mine"})).await;
    assert_eq!(read(denied).await.0, 403);

    // Another tenant's admin, of the same name and in the same database, sees nothing of it.
    let other = World::new().await;
    assert_eq!(read(other.get(&path, &other.admin()).await).await.0, 404);
    assert_eq!(read(other.get(&path, &world.admin()).await).await.0, 200, "both tenants are served by every server");
}

#[tokio::test]
async fn organizations_are_renamed_under_if_match_and_deactivated() {
    let world = World::new().await;
    let admin = world.admin();
    let path = format!("/api/organizations/{}", world.organization("sales").await);
    let etag = read(world.get(&path, &admin).await).await.2;
    let without = world.client.patch(&path).header("authorization", format!("Bearer {admin}"));
    assert_eq!(read(without.json(&json!({"name": "S"})).send().await.expect("an answer")).await.0, 428);
    let (status, renamed, newer) = read(world.patch(&path, &admin, &etag, json!({"name": "Sales EMEA"})).await).await;
    assert_eq!((status, text(&renamed, "name").as_str()), (200, "Sales EMEA"));
    assert_ne!(newer, etag);
    assert_eq!(read(world.patch(&path, &admin, &etag, json!({"name": "Late"})).await).await.0, 412);
    assert_eq!(read(world.patch(&path, &admin, &newer, json!({"name": "x", "slug": "y"})).await).await.0, 400);
    for (slug, name) in [("Sales", "x"), ("", "x"), ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "x"), ("ok", "a\u{0}b")] {
        let refused = world.post("/api/organizations", &admin, json!({"slug": slug, "name": name})).await;
        assert_eq!(read(refused).await.0, 400, "{slug:?} {name:?}");
    }
    let taken = world.post("/api/organizations", &admin, json!({"slug": "sales", "name": "Again"})).await;
    let (status, problem, _) = read(taken).await;
    assert_eq!((status, text(&problem, "type").as_str()), (409, "/problems/conflict"));

    let (status, ended, _) = read(world.post(&format!("{path}/deactivate"), &admin, json!({})).await).await;
    assert_eq!((status, text(&ended, "status").as_str()), (200, "deactivated"));
    assert_eq!(read(world.get(&path, &admin).await).await.0, 404);
    let root = format!("/api/organizations/{}/deactivate", world.tenant.root_organization_id);
    assert_eq!(read(world.post(&root, &admin, json!({})).await).await.0, 409);

    let log =
        format!("select count(*) from {}.audit_events where actor = 'user:admin'", schema_name(world.tenant.tenant_id));
    assert_eq!(world.count(&log).await, 3, "created, updated and deactivated; nothing of what was refused");
}

#[tokio::test]
async fn users_are_kept_and_a_deactivated_one_is_turned_away() {
    let world = World::new().await;
    let admin = world.admin();
    let sales = world.organization("sales").await;
    let new = json!({"organization_id": sales, "subject": "eve", "display_name": "Eve", "email": "eve@example.com"});
    let (status, eve, etag) = read(world.post("/api/users", &admin, new.clone()).await).await;
    assert_eq!(status, 201, "{eve}");
    let path = format!("/api/users/{}", text(&eve, "user_id"));
    assert_eq!(read(world.post("/api/users", &admin, new).await).await.0, 409);
    let homeless = json!({"organization_id": OrganizationId::new(), "display_name": "Nobody"});
    assert_eq!(read(world.post("/api/users", &admin, homeless).await).await.0, 400);
    let rooted = json!({"organization_id": world.tenant.root_organization_id, "display_name": "Root"});
    assert_eq!(read(world.post("/api/users", &admin, rooted).await).await.0, 201);

    let (status, changed, _) = read(world.patch(&path, &admin, &etag, json!({"email": null})).await).await;
    assert_eq!((status, &changed["email"], text(&changed, "subject").as_str()), (200, &Value::Null, "eve"));
    assert_eq!(read(world.patch(&path, &admin, "*", json!({"email": "nowhere"})).await).await.0, 400);

    let token = world.token("eve", "evaluator", &["sales"]);
    assert_eq!(read(world.get("/api/organizations", &token).await).await.0, 200);
    assert_eq!(read(world.get("/api/users", &token).await).await.0, 403, "evaluators do not read users");
    assert_eq!(read(world.post(&format!("{path}/deactivate"), &admin, json!({})).await).await.0, 200);
    let (status, problem, _) = read(world.get("/api/organizations", &token).await).await;
    assert_eq!((status, text(&problem, "type").as_str()), (401, "/problems/user-deactivated"));
}

#[tokio::test]
async fn agents_belong_to_reached_organizations_and_see_nothing_until_linked() {
    let world = World::new().await;
    let (admin, sales) = (world.admin(), world.organization("sales").await);
    let support = world.organization("support").await;
    let lead = world.token("lea", "organization_admin", &["sales"]);
    let agent_token = world.token("abe", "agent", &["sales"]);
    let (status, problem, _) = read(world.get("/api/agents", &agent_token).await).await;
    assert_eq!((status, text(&problem, "type").as_str()), (403, "/problems/agent-not-linked"));

    let user = json!({"organization_id": sales, "subject": "abe", "display_name": "Abe"});
    let user_id = text(&read(world.post("/api/users", &admin, user).await).await.1, "user_id");
    let foreign = json!({"organization_id": support, "subject": "sue", "display_name": "Sue"});
    let foreign_id = text(&read(world.post("/api/users", &admin, foreign).await).await.1, "user_id");
    let new = json!({"organization_id": sales, "display_name": "Abe", "external_id": "x1", "user_id": user_id});
    let (status, agent, etag) = read(world.post("/api/agents", &lead, new.clone()).await).await;
    assert_eq!(status, 201, "{agent}");
    assert_eq!(read(world.post("/api/agents", &lead, new).await).await.0, 409);
    for (organization, user) in [(&support, Value::Null), (&sales, json!(foreign_id))] {
        let refused = json!({"organization_id": organization, "display_name": "N", "user_id": user});
        assert_eq!(read(world.post("/api/agents", &lead, refused).await).await.0, 400);
    }
    // Linked now: the role is what refuses, no longer the missing link.
    let (_, problem, _) = read(world.get("/api/agents", &agent_token).await).await;
    assert_eq!(text(&problem, "type"), "/problems/forbidden");

    let path = format!("/api/agents/{}", text(&agent, "agent_id"));
    let unlinked = world.patch(&path, &lead, &etag, json!({"user_id": null, "display_name": "Abraham"})).await;
    let (status, unlinked, _) = read(unlinked).await;
    assert_eq!((status, &unlinked["user_id"], text(&unlinked, "external_id").as_str()), (200, &Value::Null, "x1"));
    let (_, problem, _) = read(world.get("/api/agents", &agent_token).await).await;
    assert_eq!(text(&problem, "type"), "/problems/agent-not-linked");
    let other_lead = world.token("leo", "organization_admin", &["support"]);
    assert_eq!(read(world.get(&path, &other_lead).await).await.0, 404);
    assert_eq!(read(world.post(&format!("{path}/deactivate"), &other_lead, json!({})).await).await.0, 404);
    assert_eq!(read(world.post(&format!("{path}/deactivate"), &lead, json!({})).await).await.0, 200);
}

#[tokio::test]
async fn a_repeated_creation_is_answered_as_the_first_time() {
    let world = World::new().await;
    let (admin, sales) = (world.admin(), world.organization("sales").await);
    let create = async |name: &str| {
        let body = json!({"organization_id": sales, "display_name": name});
        let request = world.client.post("/api/agents").header("authorization", format!("Bearer {admin}"));
        read(request.header("idempotency-key", "once").json(&body).send().await.expect("an answer")).await
    };
    let (first, again, other) = (create("Abe").await, create("Abe").await, create("Bob").await);
    assert_eq!((first.0, again.0, other.0), (201, 201, 422));
    assert_eq!(first.1, again.1);
    assert_eq!(read(world.get("/api/agents", &admin).await).await.1["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn lists_are_cut_into_pages() {
    let world = World::new().await;
    let (admin, sales) = (world.admin(), world.organization("sales").await);
    for n in 0..5 {
        let new = json!({"organization_id": sales, "display_name": format!("Agent {n}")});
        assert_eq!(read(world.post("/api/agents", &admin, new).await).await.0, 201);
    }
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/agents?limit=2&organization_id={sales}{next}");
        let (status, page, _) = read(world.get(&path, &admin).await).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(page["items"].as_array().expect("items").iter().map(|agent| text(agent, "display_name")));
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["Agent 4", "Agent 3", "Agent 2", "Agent 1", "Agent 0"]);
    let elsewhere = format!("/api/agents?organization_id={}", OrganizationId::new());
    assert_eq!(read(world.get(&elsewhere, &admin).await).await.1["items"], json!([]));
}

#[tokio::test]
async fn tenants_that_are_not_served_say_so_to_proven_callers_alone() {
    for (change, status, kind) in [
        ("status = 'suspended'", 403, "/problems/tenant-suspended"),
        ("schema_version = 0", 503, "/problems/tenant-not-ready"),
    ] {
        let world = World::new().await;
        world
            .sql(&format!("update platform.tenants set {change} where tenant_id = '{}'", world.tenant.tenant_id))
            .await;
        let response = world.get("/api/organizations", &world.admin()).await;
        assert_eq!(header_of(&response, "retry-after").is_some(), status == 503);
        let (answered, problem, _) = read(response).await;
        assert_eq!((answered, text(&problem, "type").as_str()), (status, kind));
        let wrong = TokenRequest { audience: "other".to_owned(), ..request("admin", "tenant_admin", &[]) };
        let wrong = world.issuer.token(&world.realm, &wrong).expect("a token");
        assert_eq!(read(world.get("/api/organizations", &wrong).await).await.0, 401);
    }
}

/// An issuer that publishes whatever a test wants, and counts who asks.
struct Published {
    name: String,
    document: std::sync::Mutex<Value>,
    keys: std::sync::Mutex<Value>,
    asked: AtomicUsize,
}

#[handler]
fn document(issuer: Data<&Arc<Published>>) -> Json<Value> {
    Json(issuer.document.lock().expect("a lock").clone())
}

#[handler]
fn key_set(issuer: Data<&Arc<Published>>) -> Json<Value> {
    issuer.asked.fetch_add(1, Ordering::SeqCst);
    Json(issuer.keys.lock().expect("a lock").clone())
}

/// Signs with keys of its own making.
struct Forge {
    published: Arc<Published>,
    private: EncodingKey,
    public: jsonwebtoken::jwk::Jwk,
    server: tokio::task::JoinHandle<()>,
}

impl Forge {
    async fn start() -> Self {
        use aws_lc_rs::{
            encoding::AsDer,
            rsa::{KeyPair, KeySize},
        };
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("a key");
        // The bare RSA key: what follows the header of PKCS #8, which is 26 bytes long at this key size.
        let private = EncodingKey::from_rsa_der(&der.as_ref()[26..]);
        let mut public = jsonwebtoken::jwk::Jwk::from_encoding_key(&private, Algorithm::RS256).expect("a key");
        public.common.key_id = Some("k".to_owned());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let name = format!("http://{}", listener.local_addr().expect("an address"));
        let published = Arc::new(Published {
            document: json!({"issuer": name, "jwks_uri": format!("{name}/keys")}).into(),
            keys: json!({"keys": [public]}).into(),
            name,
            asked: AtomicUsize::new(0),
        });
        let routes = Route::new()
            .at("/.well-known/openid-configuration", get(document))
            .at("/keys", get(key_set))
            .data(published.clone());
        let acceptor = TcpAcceptor::from_tokio(listener).expect("a listener");
        let server =
            tokio::spawn(async move { Server::new_with_acceptor(acceptor).run(routes).await.expect("serving") });
        Self { published, private, public, server }
    }

    async fn world(&self) -> World {
        let issuer = DevIssuer::start(0, None, Clock::system()).await.expect("an issuer");
        let realm = format!("f{}", &TenantId::new().0.simple().to_string()[16..]);
        World::with(issuer, realm, &self.published.name, false).await
    }

    fn claims(&self) -> Value {
        let now = Clock::system().now().timestamp();
        json!({"iss": self.published.name, "sub": "admin", "aud": ["plumbline", "x"], "typ": "Bearer", "exp": now + 60,
               "iat": now, "roles": ["tenant_admin"]})
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.private).expect("a token")
    }

    fn token(&self, change: Value) -> String {
        let mut claims = self.claims();
        for (name, value) in change.as_object().expect("an object") {
            if value.is_null() {
                claims.as_object_mut().expect("an object").remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        self.sign(&header("k"), &claims)
    }
}

fn header(kid: &str) -> Header {
    Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) }
}

async fn status(world: &World, token: &str) -> u16 {
    read(world.get("/api/organizations", token).await).await.0
}

#[tokio::test]
async fn bad_tokens_all_look_the_same() {
    let forge = Forge::start().await;
    let world = forge.world().await;
    let good = forge.token(json!({}));
    assert_eq!(status(&world, &good).await, 200);
    let now = Clock::system().now().timestamp();
    let parts: Vec<&str> = good.split('.').collect();
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoiayJ9.{}.", parts[1]);
    let secret = EncodingKey::from_secret(&serde_json::to_vec(&forge.public).expect("a key"));
    let hs256 = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::HS256) };
    let confused = jsonwebtoken::encode(&hs256, &forge.claims(), &secret).expect("a token");
    let stranger = Forge::start().await;
    let typed = |typ: &str| Header { typ: Some(typ.to_owned()), ..header("k") };
    let bad = [
        ("algorithm none", none),
        ("HS256 with the public key", confused),
        ("another's signature", stranger.sign(&header("k"), &forge.claims())),
        ("an issuer that is no tenant's", stranger.token(json!({}))),
        ("a foreign issuer, named as a list", forge.token(json!({"iss": [forge.published.name]}))),
        ("another audience", forge.token(json!({"aud": "other"}))),
        ("no audience", forge.token(json!({"aud": null}))),
        ("expired", forge.token(json!({"exp": now - 60}))),
        ("no expiry", forge.token(json!({"exp": null}))),
        ("not yet valid", forge.token(json!({"nbf": now + 60}))),
        ("issued later", forge.token(json!({"iat": now + 60}))),
        ("no subject", forge.token(json!({"sub": null}))),
        ("an empty subject", forge.token(json!({"sub": ""}))),
        ("a subject with NUL", forge.token(json!({"sub": "a\u{0}b"}))),
        ("an ID token", forge.token(json!({"typ": "ID"}))),
        ("an ID token by its hash", forge.token(json!({"typ": null, "at_hash": "x"}))),
        ("a logout token", forge.sign(&typed("logout+jwt"), &forge.claims())),
        ("too long", forge.token(json!({"padding": "x".repeat(9_000)}))),
        ("cut short", good[..good.len() - 5].to_owned()),
        ("another payload", format!("{}.{}.{}", parts[0], parts[0], parts[2])),
        ("garbage", "garbage".to_owned()),
        ("nothing", String::new()),
    ];
    let mut answers = Vec::new();
    for (what, token) in bad {
        let (status, problem, _) = read(world.get("/api/organizations", &token).await).await;
        assert_eq!(status, 401, "{what}");
        answers.push((what, problem));
    }
    assert!(answers.iter().all(|(_, problem)| *problem == answers[0].1), "{answers:?}");
    let anonymous = world.client.get("/api/organizations").send().await.expect("an answer");
    assert_eq!(header_of(&anonymous, "www-authenticate").as_deref(), Some("Bearer"));
    assert_eq!(read(anonymous).await.0, 401);
    let twice = world.client.get("/api/organizations").header("authorization", format!("Bearer {good}"));
    let twice = twice.header("authorization", "Bearer x").send().await.expect("an answer");
    assert_eq!(twice.status().as_u16(), 401);
}

/// Signatures are checked once; all else of a token is asked for every request.
#[tokio::test]
async fn an_accepted_token_ends_with_its_expiry_and_speaks_for_its_own_tenant_alone() {
    let app = support::TestApp::start().await;
    let (acme, other) = (app.tenant("acme").await, app.tenant("other").await);
    let short = TokenRequest { lifetime: Duration::from_secs(60), ..request("eve", "evaluator", &["sales"]) };
    let client = |realm: &str| {
        let token = app.issuer.token(realm, &short).expect("a token");
        support::Client::new(app.base.clone(), Some(token))
    };
    let (eve, namesake) = (client("acme"), client("other"));
    let path = |tenant: &support::TestTenant| format!("/api/organizations/{}", tenant.sales);
    for _ in 0..2 {
        eve.get(&path(&acme)).await.expect(200);
        eve.get(&path(&other)).await.expect(404);
        namesake.get(&path(&other)).await.expect(200);
        namesake.get(&path(&acme)).await.expect(404);
    }
    app.clock.advance(chrono::TimeDelta::seconds(75));
    eve.get(&path(&acme)).await.refused(401, "unauthorized");
    let fresh = client("acme");
    fresh.get(&path(&acme)).await.expect(200);
    eve.get(&path(&acme)).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn unknown_key_ids_cost_the_issuer_nothing_and_encryption_keys_prove_nothing() {
    let forge = Forge::start().await;
    let world = forge.world().await;
    let mut encryption = serde_json::to_value(&forge.public).expect("a key");
    encryption["kid"] = json!("e");
    encryption["use"] = json!("enc");
    let signing = serde_json::to_value(&forge.public).expect("a key");
    *forge.published.keys.lock().expect("a lock") = json!({"keys": [encryption, signing, {"kty": "new"}]});
    assert_eq!(status(&world, &forge.token(json!({}))).await, 200);
    assert_eq!(status(&world, &forge.sign(&header("e"), &forge.claims())).await, 401);
    let before = forge.published.asked.load(Ordering::SeqCst);
    let flood = (0..50).map(|n| {
        let token = forge.sign(&header(&format!("unknown-{n}")), &forge.claims());
        let world = &world;
        async move { status(world, &token).await }
    });
    assert!(futures_util::future::join_all(flood).await.iter().all(|status| *status == 401));
    assert_eq!(forge.published.asked.load(Ordering::SeqCst), before, "a read was less than 30 s ago");
    assert_eq!(before, 1);
}

#[tokio::test]
async fn cold_keys_are_read_once_for_all_who_wait() {
    let forge = Forge::start().await;
    let world = forge.world().await;
    let token = forge.token(json!({}));
    let answers = futures_util::future::join_all((0..20).map(|_| status(&world, &token))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(forge.published.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_issuer_that_is_down_keeps_its_known_keys() {
    let forge = Forge::start().await;
    let (warm, cold) = (forge.world().await, Forge::start().await);
    assert_eq!(status(&warm, &forge.token(json!({}))).await, 200);
    forge.server.abort();
    assert_eq!(status(&warm, &forge.token(json!({"sub": "another"}))).await, 200);

    let world = cold.world().await;
    cold.server.abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let response = world.get("/api/organizations", &cold.token(json!({}))).await;
    assert!(header_of(&response, "retry-after").is_some());
    let (status, problem, _) = read(response).await;
    assert_eq!((status, text(&problem, "type").as_str()), (503, "/problems/issuer-unavailable"));
}

#[tokio::test]
async fn documents_of_other_issuers_and_development_issuers_are_not_trusted() {
    let forge = Forge::start().await;
    let name = forge.published.name.clone();
    let world = forge.world().await;
    *forge.published.document.lock().expect("a lock") =
        json!({"issuer": format!("{name}/other"), "jwks_uri": format!("{name}/keys")});
    assert_eq!(status(&world, &forge.token(json!({}))).await, 503);
    assert_eq!(forge.published.asked.load(Ordering::SeqCst), 0, "its keys are not even asked for");

    let issuer = DevIssuer::start(0, None, Clock::system()).await.expect("an issuer");
    let realm = format!("d{}", &TenantId::new().0.simple().to_string()[16..]);
    let name = issuer.open_realm(&realm).expect("a realm");
    let world = World::with(issuer, realm, &name, false).await;
    assert_eq!(status(&world, &world.admin()).await, 401);
}

#[tokio::test]
async fn an_invented_tenant_id_is_looked_up_once() {
    let (owner, login) = database().await;
    let tenants = Tenants::new(Arc::new(Db::new(Connections::to(login, 2).open().expect("connections"))));
    let tenant_id = TenantId::new();
    assert!(tenants.by_id(tenant_id).await.expect("an answer").is_none());
    let slug = format!("i{}", &tenant_id.0.simple().to_string()[16..]);
    let issuer = format!("https://issuer.example/{slug}");
    let root_organization_id = OrganizationId::new();
    let new = NewTenant { tenant_id, slug, name: "Acme".to_owned(), issuer: issuer.clone(), root_organization_id };
    Owner::connect(&owner).await.expect("the owner").create_tenant(&new).await.expect("a tenant");
    // Nobody asked PostgreSQL again; who changes a tenant says so.
    assert!(tenants.by_id(tenant_id).await.expect("an answer").is_none());
    let tenant = tenants.by_issuer(&issuer).await.expect("an answer").expect("the tenant");
    tenants.forget_all(&[tenant.tenant_id].into()).await;
    assert!(tenants.by_id(tenant_id).await.expect("an answer").is_some());
}
