//! Every operation of the API as a request that is right in form: what the tests of isolation and of permissions are made of.

use plumbline::foundation::access::Permission;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, conversation, scorecard};

/// Things that requests name.
#[derive(Clone)]
pub struct Ids {
    pub organization: String,
    pub user: String,
    pub agent: String,
    pub call: String,
    pub evaluation: String,
    pub job: String,
    pub scorecard: String,
    pub rescore: String,
    pub plugin: String,
    pub binding: String,
    pub backtest: String,
    pub operation: String,
    pub tenant: String,
}

impl Ids {
    /// Ids of nothing.
    pub fn nowhere() -> Self {
        let id = "00000000-0000-7000-8000-000000000000".to_owned();
        let [
            organization,
            user,
            agent,
            call,
            evaluation,
            job,
            scorecard,
            rescore,
            binding,
            backtest,
            operation,
            tenant,
        ] = std::array::from_fn(|_| id.clone());
        let plugin = "0".repeat(64);
        Self {
            organization,
            user,
            agent,
            call,
            evaluation,
            job,
            scorecard,
            rescore,
            plugin,
            binding,
            backtest,
            operation,
            tenant,
        }
    }
}

/// One operation.
pub struct Operation {
    pub id: &'static str,
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    pub needs: Permission,
}

/// Operations that no bearer token opens, and why.
pub const WITHOUT_TOKEN: &[&str] = &["report_transcription"]; // a provider brings the secret of its piece of work

/// All operations but those of [`WITHOUT_TOKEN`], asked about these things.
pub fn all(ids: &Ids) -> Vec<Operation> {
    use Permission::*;
    let Ids { organization, user, agent, call, evaluation, job, scorecard: card, rescore, operation, tenant, .. } = ids;
    let Ids { plugin, binding, backtest, .. } = ids;
    let get = |id, path: String, needs| Operation { id, method: Method::GET, path, body: None, needs };
    let post = |id, path: String, body, needs| Operation { id, method: Method::POST, path, body: Some(body), needs };
    let patch = |id, path: String, body, needs| Operation { id, method: Method::PATCH, path, body: Some(body), needs };
    let of = |list: &str| format!("/api/{list}?organization_id={organization}");
    let at = |list: &str, id: &str, tail: &str| format!("/api/{list}/{id}{tail}");
    let no = || json!({});
    let criteria = "evaluation-criteria";
    vec![
        get("list_organizations", "/api/organizations".to_owned(), ReadOrganizations),
        post(
            "create_organization",
            "/api/organizations".to_owned(),
            json!({"slug": "new", "name": "N"}),
            ManageOrganizations,
        ),
        get("get_organization", at("organizations", organization, ""), ReadOrganizations),
        patch(
            "update_organization",
            at("organizations", organization, ""),
            json!({"name": "Taken"}),
            ManageOrganizations,
        ),
        post("deactivate_organization", at("organizations", organization, "/deactivate"), no(), ManageOrganizations),
        get("list_users", "/api/users".to_owned(), ReadUsers),
        post(
            "create_user",
            "/api/users".to_owned(),
            json!({"organization_id": organization, "display_name": "N"}),
            ManageUsers,
        ),
        get("get_user", at("users", user, ""), ReadUsers),
        patch("update_user", at("users", user, ""), json!({"display_name": "Taken"}), ManageUsers),
        post("deactivate_user", at("users", user, "/deactivate"), no(), ManageUsers),
        get("list_agents", "/api/agents".to_owned(), ReadAgents),
        post(
            "create_agent",
            "/api/agents".to_owned(),
            json!({"organization_id": organization, "display_name": "N"}),
            ManageAgents,
        ),
        get("get_agent", at("agents", agent, ""), ReadAgents),
        patch("update_agent", at("agents", agent, ""), json!({"display_name": "Taken"}), ManageAgents),
        post("deactivate_agent", at("agents", agent, "/deactivate"), no(), ManageAgents),
        post("upload_call", "/api/calls".to_owned(), conversation(organization), UploadCalls),
        get("list_calls", of("calls"), ReadCalls),
        get("get_call", at("calls", call, ""), ReadCalls),
        get("get_transcript", at("calls", call, "/transcript"), ReadCalls),
        get("get_audio", at("calls", call, "/audio"), ListenCalls),
        get("get_analysis", at("calls", call, "/analysis"), ReadEvaluations),
        post("retry_call", at("calls", call, "/retry"), no(), RetryCalls),
        post("rerun_call", at("calls", call, "/rerun"), json!({"stage": "score"}), RetryCalls),
        post(
            "correct_transcript",
            at("calls", call, "/transcript/corrections"),
            json!({"version": 1, "corrections": [{"utterance": 1, "speaker": "system"}]}),
            CorrectTranscripts,
        ),
        post("try_criteria", at(criteria, card, "/versions/newest/try"), json!({"calls": [call]}), ManageScorecards),
        post("rescore_calls", at(criteria, card, "/versions/1/rescore"), json!({"dry_run": true}), RescoreCalls),
        get("list_rescores", of("rescores"), ReadScorecards),
        get("get_rescore", at("rescores", rescore, ""), ReadScorecards),
        post("cancel_rescore", at("rescores", rescore, "/cancel"), no(), RescoreCalls),
        get("get_rescore_report", at("rescores", rescore, "/report"), ReadScorecards),
        post(
            "start_backtest",
            at("plugins", plugin, "/backtests"),
            json!({"organization_id": organization, "dry_run": true}),
            ManagePlugins,
        ),
        get("list_backtests", at("plugins", plugin, "/backtests"), ReadPlugins),
        get("get_backtest", at("plugins", plugin, &format!("/backtests/{backtest}")), ReadPlugins),
        post("cancel_backtest", at("plugins", plugin, &format!("/backtests/{backtest}/cancel")), no(), ManagePlugins),
        get("get_backtest_plot", at("plugins", plugin, &format!("/backtests/{backtest}/plot.svg")), ReadPlugins),
        get("list_evaluations", of("evaluations"), ReadEvaluations),
        get("get_evaluation", at("evaluations", evaluation, ""), ReadEvaluations),
        post(
            "answer_criterion",
            at("evaluations", evaluation, "/answers"),
            json!({"criterion": "name", "verdict": "yes", "rationale": "Heard."}),
            AnswerCriteria,
        ),
        get("get_evaluation_cost", at("evaluations", evaluation, "/cost"), ReadCosts),
        get("list_quote_checks", of("quote-checks"), ReadEvaluations),
        get("list_evaluation_costs", of("evaluation-costs"), ReadCosts),
        get("get_receipt", at("evaluations", evaluation, "/receipt"), ReadEvaluations),
        get("get_receipt_bundle", at("evaluations", evaluation, "/receipt-bundle"), VerifyEvaluations),
        post("replay_evaluation", at("evaluations", evaluation, "/replays"), no(), ManagePlugins),
        post(
            "test_plugin",
            format!("/api/plugins/{}/test-runs", "0".repeat(64)),
            json!({"call_id": call}),
            ManagePlugins,
        ),
        Operation {
            id: "upload_plugin",
            method: Method::POST,
            path: "/api/plugins".to_owned(),
            body: Some(json!("these bytes are no component")),
            needs: ManagePlugins,
        },
        get("list_plugins", "/api/plugins".to_owned(), ReadPlugins),
        get("get_plugin", at("plugins", plugin, ""), ReadPlugins),
        get("download_plugin", at("plugins", plugin, "/component"), ManagePlugins),
        post(
            "check_plugin_settings",
            at("plugins", plugin, "/settings-checks"),
            json!({"settings": {}}),
            ManagePlugins,
        ),
        get("get_plugin_statistics", at("plugins", plugin, "/statistics"), ReadPlugins),
        get("list_plugin_runs", at("plugins", plugin, "/runs"), ReadPlugins),
        post(
            "bind_plugin",
            "/api/plugin-bindings".to_owned(),
            json!({"organization_id": organization, "digest": plugin}),
            ManagePlugins,
        ),
        get("list_plugin_bindings", of("plugin-bindings"), ReadPlugins),
        get("get_plugin_binding", at("plugin-bindings", binding, ""), ReadPlugins),
        post("end_plugin_binding", at("plugin-bindings", binding, "/end"), no(), ManagePlugins),
        post("roll_back_plugin_binding", at("plugin-bindings", binding, "/rollback"), no(), ManagePlugins),
        post("promote_plugin_binding", at("plugin-bindings", binding, "/promote"), no(), ManagePlugins),
        get("get_plugin_policy", at("plugin-policies", organization, ""), ReadPlugins),
        Operation {
            id: "set_plugin_policy",
            method: Method::PUT,
            path: at("plugin-policies", organization, ""),
            body: Some(json!({"backtest_calls": 10})),
            needs: ManagePlugins,
        },
        get("compare_plugin_binding", at("plugin-bindings", binding, "/comparison"), ReadPlugins),
        post("verify_evaluation", at("evaluations", evaluation, "/verify"), no(), VerifyEvaluations),
        get("list_receipt_keys", "/api/receipt-keys".to_owned(), VerifyEvaluations),
        post("rotate_receipt_key", "/api/receipt-keys".to_owned(), no(), ManageReceiptKeys),
        get("list_scorecards", of(criteria), ReadScorecards),
        post(
            "create_scorecard",
            format!("/api/{criteria}"),
            json!({"organization_id": organization, "definition": scorecard()}),
            ManageScorecards,
        ),
        get("get_scorecard", at(criteria, card, ""), ReadScorecards),
        Operation {
            id: "update_scorecard_draft",
            method: Method::PUT,
            path: at(criteria, card, "/draft"),
            body: Some(scorecard()),
            needs: ManageScorecards,
        },
        post("publish_scorecard", at(criteria, card, "/publish"), no(), ManageScorecards),
        get("list_scorecard_versions", at(criteria, card, "/versions"), ReadScorecards),
        get("get_scorecard_version", at(criteria, card, "/versions/1"), ReadScorecards),
        get("export_scorecard_version", at(criteria, card, "/versions/1/export"), ReadScorecards),
        get("diff_scorecard", at(criteria, card, "/diff?from=1&to=1"), ReadScorecards),
        post("lint_scorecard_draft", at(criteria, card, "/lint"), no(), ManageScorecards),
        post("lint_definition", format!("/api/{criteria}/lint"), scorecard(), ManageScorecards),
        get("list_scorecard_templates", format!("/api/{criteria}/templates"), ReadScorecards),
        post(
            "create_scorecard_from_template",
            format!("/api/{criteria}/from-template"),
            json!({"organization_id": organization, "template": "customer_service"}),
            ManageScorecards,
        ),
        post(
            "import_scorecard",
            format!("/api/{criteria}/import?organization_id={organization}"),
            scorecard(),
            ManageScorecards,
        ),
        post("retire_scorecard", at(criteria, card, "/retire"), no(), ManageScorecards),
        post("reactivate_scorecard", at(criteria, card, "/reactivate"), no(), ManageScorecards),
        get("list_jobs", "/api/jobs".to_owned(), ReadJobs),
        post("retry_job", at("jobs", job, "/retry"), no(), RetryJobs),
        get("list_operations", "/api/operations".to_owned(), ReadTenant),
        get("get_operation", at("operations", operation, ""), ReadTenant),
        post("cancel_operation", at("operations", operation, "/cancel"), no(), ExportTenant),
        get("list_fleet", "/api/fleet".to_owned(), ManageTenants),
        post("retry_operation", at("operations", operation, "/retry"), no(), ManageTenants),
        post("export_tenant", format!("/api/tenants/{tenant}/exports"), no(), ExportTenant),
        get("download_archive", format!("/api/tenants/{tenant}/exports/{operation}/archive"), DownloadArchives),
        post(
            "restore_tenant",
            "/api/tenants/restores?slug=restored&issuer=https://issuer.example/restored".to_owned(),
            json!("these bytes are no archive"),
            ManageTenants,
        ),
        post(
            "clone_tenant",
            format!("/api/tenants/{tenant}/clone"),
            json!({"slug": "sandbox", "name": "Sandbox", "issuer": "https://issuer.example/sandbox"}),
            ManageTenants,
        ),
        get("list_tenants", "/api/tenants".to_owned(), ManageTenants),
        post(
            "create_tenant",
            "/api/tenants".to_owned(),
            json!({"slug": "taken", "name": "N", "issuer": "https://id.example"}),
            ManageTenants,
        ),
        get("get_tenant", at("tenants", tenant, ""), ReadTenant),
        patch("update_tenant", at("tenants", tenant, ""), json!({"name": "Taken"}), ManageTenants),
        post("suspend_tenant", at("tenants", tenant, "/suspend"), json!({"reason": "r"}), ManageTenants),
        post("resume_tenant", at("tenants", tenant, "/resume"), no(), ManageTenants),
        Operation {
            id: "set_legal_hold",
            method: Method::PUT,
            path: at("tenants", tenant, "/legal-hold"),
            body: Some(json!({"reason": "r"})),
            needs: ManageTenants,
        },
        Operation {
            id: "lift_legal_hold",
            method: Method::DELETE,
            path: at("tenants", tenant, "/legal-hold"),
            body: None,
            needs: ManageTenants,
        },
        post("off_board_tenant", at("tenants", tenant, "/off-board"), json!({"grace_days": 0}), ManageTenants),
        get("get_certificate", at("tenants", tenant, "/certificate"), ReadTenant),
        get("get_tenant_usage", at("tenants", tenant, "/usage"), ReadTenant),
        get("get_tenant_quotas", at("tenants", tenant, "/quotas"), ReadTenant),
        Operation {
            id: "set_tenant_quotas",
            method: Method::PUT,
            path: at("tenants", tenant, "/quotas"),
            body: Some(json!({"calls_per_day": 0})),
            needs: ManageTenants,
        },
        get("get_isolation_report", at("tenants", tenant, "/isolation-report"), ReadTenant),
    ]
}

impl Operation {
    pub async fn by(&self, client: &Client) -> Answer {
        let request = client.request(self.method.clone(), &self.path).header("if-match", "*");
        Answer::to(match &self.body {
            Some(Value::String(bytes)) => {
                request.header("content-type", "application/octet-stream").body(bytes.clone())
            }
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }
}

/// The ids of all operations in the document.
pub fn documented(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    operations.filter_map(|operation| Some(operation["operationId"].as_str()?.to_owned())).collect()
}

/// Fails when the document has an operation that is not here, or the other way round.
pub fn covers(document: &Value) {
    let mut here: Vec<String> = all(&Ids::nowhere()).iter().map(|operation| operation.id.to_owned()).collect();
    here.extend(WITHOUT_TOKEN.iter().map(|&id| id.to_owned()));
    let mut there = documented(document);
    here.sort();
    there.sort();
    assert_eq!(here, there, "tests/it/operations.rs has every operation of the API");
}
