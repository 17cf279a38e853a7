//! What may not be: words of others in an answer, an answer that tells foreign from nothing, a change of what is not the caller's.

use plumbline::foundation::access::Permission;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    attempt::{Attempt, Rendered},
    caller::Caller,
    cursors,
    journal::Change,
    things::{Things, tenant_of},
    world::Got,
};

/// Headers that differ from answer to answer and say nothing.
const PASSING: &[&str] = &["x-request-id", "date", "content-length"];

/// Which permissions change a table's rows; one of them must be a role's of the caller. Notes of what was done come with any change.
const CHANGED_BY: &[(&str, &[Permission])] = &[
    ("organizations", &[Permission::ManageOrganizations]),
    ("users", &[Permission::ManageUsers]),
    ("agents", &[Permission::ManageAgents]),
    ("scorecards", &[Permission::ManageScorecards]),
    ("scorecard_versions", &[Permission::ManageScorecards]),
    ("calls", &[Permission::UploadCalls, Permission::RetryCalls, Permission::AnswerCriteria, Permission::RetryJobs]),
    ("audio_files", &[Permission::UploadCalls]),
    ("transcriptions", &[Permission::UploadCalls, Permission::RetryCalls, Permission::CorrectTranscripts]),
    ("utterances", &[Permission::UploadCalls, Permission::CorrectTranscripts]),
    ("transcript_versions", &[Permission::RetryCalls, Permission::CorrectTranscripts]),
    ("evaluations", &[Permission::RetryCalls, Permission::AnswerCriteria]),
    ("rescores", &[Permission::RescoreCalls]),
    ("rescore_items", &[Permission::RescoreCalls]),
    ("backtests", &[Permission::ManagePlugins]),
    ("plugin_versions", &[Permission::ManagePlugins]),
    ("plugin_bindings", &[Permission::ManagePlugins]),
    ("plugin_policies", &[Permission::ManagePlugins]),
    ("plugin_runs", &[Permission::ManagePlugins]),
    ("receipt_keys", &[Permission::ManageReceiptKeys]),
    ("model_answers", &[Permission::ManageScorecards]),
    ("usage_costs", &[Permission::ManageScorecards]),
    ("usage_days", &[Permission::UploadCalls, Permission::ManageScorecards]),
    ("usage_totals", &[Permission::UploadCalls]),
    (
        "jobs",
        &[
            Permission::UploadCalls,
            Permission::RetryCalls,
            Permission::RetryJobs,
            Permission::AnswerCriteria,
            Permission::RescoreCalls,
            Permission::ManagePlugins,
        ],
    ),
    ("operations", &[Permission::ExportTenant, Permission::ManageTenants]),
    ("tenants", &[Permission::ManageTenants]),
    ("audit_events", Permission::ALL),
    ("idempotency_keys", Permission::ALL),
];

/// Everything that an answer says: head, body, what cursors hold, and the digest of a recording.
fn told(got: &Got) -> String {
    let mut told = String::new();
    for (name, value) in &got.headers {
        told.push_str(&format!("{name}: {value}\n"));
    }
    match std::str::from_utf8(&got.body) {
        Ok(body) => told.push_str(body),
        Err(_) => {
            told.push_str(&Sha256::digest(&got.body).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            told.push_str(&String::from_utf8_lossy(&got.body));
        }
    }
    let answer: Value = serde_json::from_slice(&got.body).unwrap_or_default();
    if let Some(content) = answer["next_cursor"].as_str().and_then(cursors::content) {
        told.push_str(&content.to_string());
    }
    told
}

/// Words of others in the answer, which the caller did not send.
pub fn leaked(things: &Things, caller: &Caller, sent: &str, got: &Got) -> Option<String> {
    let leaked = things.leaked(&told(got), caller, sent);
    (!leaked.is_empty()).then(|| format!("the answer holds what is not the caller's: {}", leaked.join(", ")))
}

/// The answer without what is new in every answer, and without the words that were sent.
pub fn normal(things: &Things, attempt: &Attempt, twin: bool, got: &Got) -> String {
    let mut text = format!("{}\n", got.status);
    let mut headers: Vec<_> = got.headers.iter().filter(|(name, _)| !PASSING.contains(&name.as_str())).collect();
    headers.sort();
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push_str(&String::from_utf8_lossy(&got.body));
    for (n, slot) in attempt.slots.iter().enumerate() {
        let sent = if twin { &slot.nothing } else { &slot.real };
        if sent.len() >= 6 && slot.real != slot.nothing {
            text = text.replace(sent.as_str(), &format!("<{n}>"));
            if sent.len() == 36 {
                text = text.replace(&sent.replace('-', ""), &format!("<{n}>"));
            }
        }
    }
    without_new_ids(things, &without_public_keys(&text))
}

/// A key that is made now is new in every answer; others' keys are secrets like other texts, and found by [`leaked`].
fn without_public_keys(text: &str) -> String {
    const NAME: &str = "\"public_key\":\"";
    let mut parts = text.split(NAME);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(NAME);
        out.push_str(part.split_once('"').map_or(part, |(_, rest)| rest));
    }
    out
}

/// Ids and digests that were not there before become `<new>`.
fn without_new_ids(things: &Things, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        let new = matches!(word.len(), 32 | 36 | 64)
            && word.chars().any(|c| c.is_ascii_digit())
            && things.owners(word).is_empty();
        let known_simple =
            word.len() == 32 && word.parse::<uuid::Uuid>().is_ok_and(|id| !things.owners(&id.to_string()).is_empty());
        out.push_str(if new && !known_simple { "<new>" } else { word });
        word.clear();
    };
    for c in text.chars() {
        if c.is_ascii_hexdigit() || c == '-' {
            word.push(c);
        } else {
            flush(&mut word, &mut out);
            out.push(c);
        }
    }
    flush(&mut word, &mut out);
    out
}

/// What changed and should not have.
pub fn trespassed(caller: &Caller, got: &Got, changes: &[Change]) -> Option<String> {
    let wrong: Vec<String> =
        changes.iter().filter_map(|change| Some(format!("{}: {change:?}", wrong(caller, got, change)?))).collect();
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}

fn wrong(caller: &Caller, got: &Got, change: &Change) -> Option<&'static str> {
    if !(200..300).contains(&got.status) {
        return Some("a refused request changed something");
    }
    let tenant = tenant_of(&change.schema).or_else(|| change.id("tenant_id"));
    let operator = caller.tenant.is_none() && !caller.roles.is_empty();
    if operator && tenant_of(&change.schema).is_some() {
        // What operators do to a tenant is told in its own log.
        let told = change.table == "audit_events" && change.came && change.id("organization_id").is_some();
        return (!told).then_some("an operator changed a tenant's rows");
    }
    if !operator && (tenant.is_none() || tenant != caller.tenant) {
        return Some("another tenant's row changed");
    }
    // Who only reads leaves a trace too, where the reading is told.
    let traced = change.table == "audit_events" && change.came;
    if let Some(organization) = change.id("organization_id")
        && !caller.changes.contains(&organization)
        && !(traced && caller.organizations.contains(&organization))
        && caller.root != Some(organization)
        && !made(change)
    {
        return Some("another organization's row changed");
    }
    let Some((_, permissions)) = CHANGED_BY.iter().find(|(table, _)| *table == change.table) else {
        return Some("oracle.rs does not know by which permission this table's rows change");
    };
    let allowed = if caller.provider { change.table == "jobs" } else { caller.may_any(permissions) };
    (!allowed).then_some("no role of the caller may change this")
}

/// An organization that is just made is its maker's.
fn made(change: &Change) -> bool {
    change.table == "organizations" && change.came && change.row["revision"] == 1
}

/// The request and both answers, for a report.
pub fn difference(request: &str, rendered: &Rendered, real: &Got, twin: &Got) -> String {
    let shown = |got: &Got| {
        let body = String::from_utf8_lossy(&got.body);
        format!("{} {}", got.status, body.chars().take(1_500).collect::<String>())
    };
    format!("foreign is told from nothing\n{request}\n=> {}\n{}\n=> {}", shown(real), rendered.path, shown(twin))
}
