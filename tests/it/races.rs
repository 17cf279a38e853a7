//! What happens while something else does: corrections, people's answers and re-scores of one call, and what was paid meanwhile.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use plumbline::{demo::standins::faults::ChatFault, foundation::config::ModelPriceConfig};
use poem::{Response, Route, Server, endpoint::make, http::StatusCode, listener::TcpAcceptor, post};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Answer, Client, TestApp, TestTenant, conversation};

/// A way to the language model's stand-in on which one question can be held.
struct Gate {
    closed: AtomicBool,
    arrived: Semaphore,
    passed: Semaphore,
}

impl Gate {
    /// Holds the next question, does something else, and lets it go.
    async fn during(&self, doing: impl AsyncFnOnce()) {
        self.arrived.acquire().await.unwrap().forget();
        doing().await;
        self.passed.add_permits(1);
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

async fn gated() -> (TestApp, Arc<Gate>) {
    let gate = Arc::new(Gate { closed: AtomicBool::new(false), arrived: Semaphore::new(0), passed: Semaphore::new(0) });
    let upstream = Arc::new(OnceLock::<String>::new());
    let client = reqwest::Client::new();
    let (held, to) = (gate.clone(), upstream.clone());
    let relay = make(move |mut request: poem::Request| {
        let (gate, client, upstream) = (held.clone(), client.clone(), to.clone());
        async move {
            let body = request.take_body().into_string().await.unwrap();
            let mut passed = client.post(format!("{}/chat/completions", upstream.get().unwrap())).body(body);
            for name in ["authorization", "content-type"] {
                passed = passed.header(name, request.header(name).unwrap_or_default());
            }
            if gate.closed.swap(false, Ordering::SeqCst) {
                gate.arrived.add_permits(1);
                gate.passed.acquire().await.unwrap().forget();
            }
            let answer = passed.send().await.unwrap();
            let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
            let bytes = answer.bytes().await.unwrap();
            Response::builder().status(status).content_type("application/json").body(bytes)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let routes = Route::new().at("/v1/chat/completions", post(relay));
    let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
    tokio::spawn(async move { Server::new_with_acceptor(acceptor).run(routes).await });
    let app = TestApp::with(|config| {
        let model = config.language_model.base_url.to_string();
        upstream.set(model.trim_end_matches('/').to_owned()).unwrap();
        config.language_model.base_url = base.parse().unwrap();
        priced(config);
    })
    .await;
    (app, gate)
}

fn priced(config: &mut plumbline::foundation::config::Config) {
    config.prices.models.insert("stand-in".to_owned(), ModelPriceConfig { input: 1.25, output: 10.0 });
}

/// One question for the language model, and one for a person.
fn questions(about: &str) -> Value {
    json!({"name": "Service", "sections": [{"key": "s", "name": "S", "criteria": [
        {"key": "greeted", "question": "Greeted?", "guidance": format!("Yes if the agent says \"{about}\".")},
        {"key": "form", "question": "Is the form right?", "answered_by": "human"}]}]})
}

async fn current(app: &TestApp, client: &Client, call: &str) -> Value {
    app.analysis(client, call).await.expect(200)["evaluation"].clone()
}

fn criterion<'a>(evaluation: &'a Value, key: &str) -> &'a Value {
    evaluation["sections"][0]["criteria"].as_array().unwrap().iter().find(|one| one["key"] == key).unwrap()
}

/// Every revision of a call computes again as it was; returns their causes, oldest first.
async fn causes(client: &Client, call: &str) -> Vec<String> {
    let listed = client.get(&format!("/api/evaluations?call_id={call}&revisions=all")).await.expect(200);
    let mut revisions = listed["items"].as_array().unwrap().clone();
    revisions.sort_by_key(|one| one["revision"].as_i64());
    for revision in &revisions {
        let id = revision["evaluation_id"].as_str().unwrap();
        let verified = client.post(&format!("/api/evaluations/{id}/verify"), &json!({})).await.expect(200);
        assert_eq!(verified["verdict"], json!("same"), "{verified:#}");
    }
    revisions.iter().map(|one| one["cause"].as_str().unwrap().to_owned()).collect()
}

async fn answer(client: &Client, evaluation: &Value) -> Answer {
    let at = format!("/api/evaluations/{}/answers", evaluation["evaluation_id"].as_str().unwrap());
    client.post(&at, &json!({"criterion": "form", "verdict": "yes", "rationale": "I saw it."})).await
}

async fn correct(client: &Client, call: &str) {
    let mend = json!({"version": 1, "corrections": [{"utterance": 1, "text": "Good evening, Ana here."}]});
    client.post(&format!("/api/calls/{call}/transcript/corrections"), &mend).await.expect(200);
}

/// Publishes the next version of the organization's scorecard and begins a re-score under it; returns its address.
async fn rescore(tenant: &TestTenant, admin: &Client, definition: &Value) -> String {
    let listed = admin.get(&format!("/api/evaluation-criteria?organization_id={}", tenant.sales)).await.expect(200);
    let path = format!("/api/evaluation-criteria/{}", listed["items"][0]["scorecard_id"].as_str().unwrap());
    let draft = admin.request(reqwest::Method::PUT, &format!("{path}/draft")).header("if-match", "*").json(definition);
    Answer::to(draft).await.expect(200);
    let version = admin.post(&format!("{path}/publish"), &json!({})).await.expect(201)["version"].clone();
    let begun = admin.post(&format!("{path}/versions/{version}/rescore"), &json!({})).await.expect(202);
    format!("/api/rescores/{}", begun["rescore_id"].as_str().unwrap())
}

fn asked(app: &TestApp) -> u64 {
    app.stand_ins.requests().chat_completions
}

/// All tokens that were paid are in the tenant's day and in the organization's costs, once.
async fn all_is_counted(app: &TestApp, tenant: &TestTenant) {
    let sum = async |table: &str| {
        let query = format!("select sum(prompt_tokens + completion_tokens)::bigint from {}.{table}", tenant.schema);
        app.database.count(&query).await
    };
    let paid = sum("model_answers").await;
    assert_eq!((sum("usage_days").await, sum("usage_costs").await), (paid, paid));
}

#[tokio::test]
async fn nobody_answers_about_a_transcript_that_was_corrected_since() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    app.publish(&tenant, &tenant.sales, &questions("good morning")).await;
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    let first = current(&app, &admin, &call).await;
    correct(&admin, &call).await;
    let problem = answer(&admin, &first).await.refused(409, "illegal-state");
    assert!(problem["detail"].as_str().unwrap().contains("run it again from assess"), "{problem}");
    assert_eq!(app.call(&admin, &call).await["status"], json!("evaluated"), "nothing is changed");

    admin.post(&format!("/api/calls/{call}/rerun"), &json!({"stage": "assess"})).await.expect(200);
    app.drain_all().await;
    let second = current(&app, &admin, &call).await;
    answer(&admin, &second).await.expect(200);

    // However it came about, answers to one transcript are not scored by another.
    app.database.execute(&format!("update {}.transcriptions set version = version + 1", tenant.schema)).await;
    app.drain_all().await;
    let failure = app.call(&admin, &call).await["failure"].clone();
    assert_eq!((&failure["stage"], &failure["kind"]), (&json!("score"), &json!("transcript_changed")), "{failure}");
    app.database.execute(&format!("update {}.transcriptions set version = version - 1", tenant.schema)).await;
    admin.post(&format!("/api/calls/{call}/retry"), &json!({})).await.expect(200);
    app.drain_all().await;
    assert_eq!(causes(&admin, &call).await, ["first", "transcript_correction", "human_answers"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_while_the_model_is_asked_has_it_asked_about_the_new_words() {
    let (app, gate) = gated().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    app.publish(&tenant, &tenant.sales, &questions("good morning")).await;
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    let at = rescore(&tenant, &admin, &questions("good evening")).await;
    gate.close();
    tokio::join!(app.drain_all(), gate.during(async || correct(&admin, &call).await));

    let evaluation = current(&app, &admin, &call).await;
    assert_eq!((&evaluation["cause"], &evaluation["transcript_version"]), (&json!("rescore"), &json!(2)));
    assert_eq!(
        criterion(&evaluation, "greeted")["verdict"],
        json!("yes"),
        "as the corrected words say: {evaluation:#}"
    );
    assert_eq!(asked(&app), 3, "once before, and about each transcript");
    let ended = admin.get(&at).await.expect(200);
    assert_eq!((&ended["status"], &ended["progress"]["evaluated"]), (&json!("succeeded"), &json!(1)), "{ended}");
    assert_eq!(causes(&admin, &call).await, ["first", "rescore"]);
    all_is_counted(&app, &tenant).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persons_answer_while_the_model_is_asked_is_carried_and_nothing_is_paid_twice() {
    let (app, gate) = gated().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    app.publish(&tenant, &tenant.sales, &questions("good morning")).await;
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    let first = current(&app, &admin, &call).await;
    let at = rescore(&tenant, &admin, &questions("good evening")).await;
    gate.close();
    let answered = async || {
        answer(&admin, &first).await.expect(200);
    };
    tokio::join!(app.drain_all(), gate.during(answered));

    let ended = admin.get(&at).await.expect(200);
    let progress = &ended["progress"];
    assert_eq!((&progress["evaluated"], &progress["failed"], &progress["skipped"]), (&json!(1), &json!(0), &json!(0)));
    let evaluation = current(&app, &admin, &call).await;
    assert_eq!((&evaluation["cause"], &evaluation["revision"]), (&json!("rescore"), &json!(3)));
    let form = criterion(&evaluation, "form");
    assert_eq!((&form["verdict"], &form["answered_by"]), (&json!("yes"), &json!("human")), "{form}");
    assert_eq!(asked(&app), 2, "the answer that came too late is used");
    assert_eq!(causes(&admin, &call).await, ["first", "human_answers", "rescore"]);
    all_is_counted(&app, &tenant).await;
    app.finish().await;
}

#[tokio::test]
async fn what_is_paid_for_nothing_is_counted_with_its_price() {
    let app = TestApp::with(priced).await;
    let tenant = app.ready_tenant("acme").await;
    let admin = app.admin(&tenant);
    let sum = async |table: &str, column: &str| {
        let query = format!("select coalesce(sum({column}), 0)::bigint from {}.{table}", tenant.schema);
        app.database.count(&query).await
    };
    let tokens = "prompt_tokens + completion_tokens";
    let mut before = 0;
    let hopeless = vec![ChatFault::NumberOutOfRange, ChatFault::NumberOutOfRange];
    for faults in [vec![ChatFault::Refusal], vec![ChatFault::ContentFilter], vec![ChatFault::CutAnswer], hopeless] {
        faults.iter().for_each(|fault| app.stand_ins.faults().next_chat(fault.clone()));
        app.send(&admin, &conversation(&tenant.sales)).await;
        app.drain_all().await;
        let paid = sum("usage_days", tokens).await;
        assert!(paid > before, "{faults:?}");
        assert_eq!(sum("usage_costs", tokens).await, paid, "{faults:?}");
        assert_eq!(sum("usage_costs", "evaluations").await, 0, "there is none");
        before = paid;
    }
    assert_eq!(sum("model_answers", "1").await, 0, "none of these answers is kept");
    let cost = sum("usage_costs", "cost_micros").await;
    let expected = sum("usage_costs", "prompt_tokens").await as f64 * 1.25
        + sum("usage_costs", "completion_tokens").await as f64 * 10.0;
    assert!((cost as f64 - expected).abs() <= 4.0, "each is rounded: {cost} {expected}");

    // A second answer that is refused is paid, and belongs to the evaluation that uses the first one; as does every other.
    app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    let kept = sum("model_answers", tokens).await;
    assert_eq!((sum("usage_days", tokens).await, sum("usage_costs", tokens).await), (before + kept, before + kept));
    app.finish().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_asked_for_again() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut two = questions("good morning");
    two["sections"][0]["criteria"][1] =
        json!({"key": "promised", "question": "Promised?", "guidance": "Yes if the agent says \"i will\"."});
    app.publish(&tenant, &tenant.sales, &two).await;
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    // As the model may have answered, twice.
    let spoil = format!(
        "update {}.evaluations set raw_answer = jsonb_set(raw_answer::jsonb, '{{promised,confidence}}', '7.5')::text",
        tenant.schema
    );
    app.database.execute(&spoil).await;
    two["sections"][0]["criteria"][0]["weight"] = json!(3);
    rescore(&tenant, &admin, &two).await;
    app.drain_all().await;
    let evaluation = current(&app, &admin, &call).await;
    assert_eq!(
        (&evaluation["cause"], &criterion(&evaluation, "promised")["verdict"]),
        (&json!("rescore"), &json!("yes"))
    );
    let about = &evaluation["receipt"]["about"];
    assert_eq!((&about["asked"], &about["reused"]["criteria"]), (&json!(["promised"]), &json!(["greeted"])), "{about}");
    assert_eq!(asked(&app), 2);
    app.finish().await;
}

#[tokio::test]
async fn a_call_that_an_auto_fail_fails_does_not_pass_whatever_its_score() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let mut one = questions("good evening");
    one["pass_mark"] = json!(0);
    app.publish(&tenant, &tenant.sales, &one).await;
    let call = app.send(&admin, &conversation(&tenant.sales)).await;
    app.drain_all().await;
    assert_eq!(current(&app, &admin, &call).await["passed"], json!(true));
    one["sections"][0]["criteria"][0]["auto_fail"] = json!("evaluation");
    let at = rescore(&tenant, &admin, &one).await;
    app.drain_all().await;
    assert_eq!(current(&app, &admin, &call).await["passed"], json!(false));
    let report = admin.get(&format!("{at}/report")).await.expect(200);
    assert_eq!(
        (&report["all"]["pass_to_fail"], &report["sides_changed"][0]["call_id"]),
        (&json!(1), &json!(call)),
        "{report:#}"
    );
    app.finish().await;
}
