//! Answers of the server as people read them.

use std::io::{self, ErrorKind, Write};

use comfy_table::{Table, presets};
use serde_json::Value;

/// How much of a digest people need to tell versions apart.
const SHORT_DIGEST: usize = 12;

/// Says it; whoever closes the pipe has seen enough.
pub fn say(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn short(digest: &Value) -> String {
    word(digest).chars().take(SHORT_DIGEST).collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

pub fn plugins(list: &Value) -> String {
    let row = |one: &Value| {
        [
            short(&one["digest"]),
            word(&one["name"]),
            word(&one["version"]),
            word(&one["world"]),
            word(&one["status"]),
            word(&one["created_at"]),
        ]
    };
    table(["digest", "name", "version", "world", "status", "uploaded"], items(&list["items"]).map(row))
}

pub fn plugin(one: &Value) -> String {
    let mut lines = vec![
        format!("{} {} ({}), {}", word(&one["name"]), word(&one["version"]), word(&one["world"]), word(&one["status"])),
        word(&one["digest"]),
        word(&one["summary"]),
    ];
    lines.push(match &one["reads"] {
        Value::Null => "reads: everything, for it does not say what".to_owned(),
        fields => format!("reads: {}", items(fields).map(word).collect::<Vec<_>>().join(" ")),
    });
    for check in items(&one["report"]["checks"]) {
        let mark = if check["passed"] == true { "ok" } else { "NO" };
        lines.push(format!("{mark}  {}: {}", word(&check["name"]), word(&check["detail"])));
    }
    lines.join("\n")
}

pub fn pushed(answer: &Value) -> String {
    let mut text = plugin(&answer["plugin"]);
    if answer["binding"].is_object() {
        text.push('\n');
        text.push_str(&binding(&answer["binding"]));
    }
    text
}

pub fn binding(one: &Value) -> String {
    let share = match &one["canary_share_percent"] {
        Value::Null => String::new(),
        share => format!(" for {share} % of the calls"),
    };
    let (name, version, mode) = (word(&one["name"]), word(&one["version"]), word(&one["mode"]));
    format!("{name} {version} is bound as {mode}{share}: binding {}", word(&one["binding_id"]))
}

pub fn bindings(list: &Value) -> String {
    let row = |one: &Value| {
        let plugin = format!("{} {}", word(&one["name"]), word(&one["version"]));
        [
            word(&one["binding_id"]),
            plugin,
            short(&one["digest"]),
            word(&one["mode"]),
            word(&one["created_at"]),
            word(&one["ended_at"]),
            word(&one["ended_because"]),
        ]
    };
    table(["binding", "plugin", "digest", "mode", "from", "until", "because"], items(&list["items"]).map(row))
}

pub fn rollback(left: &Value) -> String {
    let ended = &left["ended"];
    let now = match &left["active"] {
        Value::Null => "what comes with the product counts now".to_owned(),
        active => binding(active),
    };
    format!("{} {} has ended; {now}", word(&ended["name"]), word(&ended["version"]))
}

pub fn runs(list: &Value) -> String {
    let mut lines = vec![];
    for one in items(&list["items"]) {
        let (at, purpose, outcome) = (word(&one["ran_at"]), word(&one["purpose"]), word(&one["outcome"]));
        lines.push(format!("{at} {purpose} {outcome} {} ms, {} fuel", one["elapsed_ms"], one["fuel"]));
        lines.extend(one["message"].as_str().map(|message| format!("    {message}")));
        lines
            .extend(items(&one["log"]).map(|line| format!("    {}: {}", word(&line["level"]), word(&line["message"]))));
        if one["log_truncated"] == true {
            lines.push(format!("    {} messages more were cut or left out", one["log_left_out"]));
        }
    }
    if lines.is_empty() { "no runs".to_owned() } else { lines.join("\n") }
}

pub fn statistics(found: &Value) -> String {
    let purposes = items(&found["purposes"]).map(|one| (word(&one["purpose"]), &one["taken"]));
    let row = |(purpose, taken): (String, &Value)| {
        let spread = |field: &str| {
            let of = &taken[field];
            format!("{} / {} / {}", of["p50"], of["p95"], of["p99"])
        };
        let kinds: Vec<_> = items(&taken["fault_kinds"])
            .map(|kind| format!("{} {}", word(&kind["runs"]), word(&kind["kind"])))
            .collect();
        [purpose, word(&taken["runs"]), kinds.join(", "), spread("elapsed_ms"), spread("fuel"), spread("memory_bytes")]
    };
    let all = std::iter::once(("all".to_owned(), &found["total"]));
    let header = ["purpose", "runs", "faults", "ms p50/p95/p99", "fuel p50/p95/p99", "bytes p50/p95/p99"];
    table(header, all.chain(purposes).map(row))
}

/// How far a back-test is; what it came to, once it has ended.
pub fn backtest(one: &Value) -> String {
    let mut lines = vec![format!(
        "back-test {}: {}, {} of {} calls",
        word(&one["backtest_id"]),
        word(&one["status"]),
        word(&one["calls_done"]),
        word(&one["calls_total"])
    )];
    if let Some(failure) = one["failure"].as_str() {
        lines.push(failure.to_owned());
    }
    let report = &one["report"];
    if report.is_object() {
        let overall = &report["overall"];
        lines.push(format!(
            "mean {} now, {} by {}; {} of {} calls change, {} to pass, {} to fail",
            word(&overall["mean_before"]),
            word(&overall["mean_after"]),
            word(&report["plugin"]),
            word(&overall["changed"]),
            word(&overall["calls"]),
            word(&overall["to_pass"]),
            word(&overall["to_fail"])
        ));
        let left_out = items(&report["skipped"]).map(|one| (&one["reason"], &one["calls"]));
        let failed = items(&report["faults"]).map(|one| (&one["code"], &one["calls"]));
        lines.extend(left_out.map(|(why, calls)| format!("{} calls left out: {}", word(calls), word(why))));
        lines.extend(failed.map(|(code, calls)| format!("{} calls failed: {}", word(calls), word(code))));
        let row = |one: &Value| {
            let tally = &one["tally"];
            let means = format!("{} to {}", word(&tally["mean_before"]), word(&tally["mean_after"]));
            [word(&one["key"]), word(&tally["calls"]), word(&tally["to_pass"]), word(&tally["to_fail"]), means]
        };
        lines.push(table(["criterion", "calls", "to pass", "to fail", "mean"], items(&report["criteria"]).map(row)));
    }
    lines.join("\n")
}
