//! Stored evaluations, many at once: a few hundred dialogues are answered and scored as the pipeline does it, and PostgreSQL makes the others of
//! them, each with its own ids and words.

use plumbline::{
    platform::plugins::{CallFacts, Scorer, Speaker, Utterance},
    product::{
        evaluations::{
            model::Answer,
            questions::Questions,
            receipt::Material,
            scoring::{self, BuiltIn},
        },
        scorecards::model::Definition,
    },
};
use serde_json::{Map, Value, json};
use tokio_postgres::types::Json;

use super::{
    dialogues::{Chance, dialogue},
    support::{House, Outcome},
};

/// Dialogues that are scored here.
const TEMPLATES: usize = 250;
const AGENTS: i32 = 40;

/// 20 criteria in four sections; what counts for most fails a section.
pub fn definition() -> Outcome<Definition> {
    let criterion = |n: usize| {
        json!({
            "key": format!("criterion_{n}"), "question": format!("Did the agent take care of point {n}, as the guideline asks?"),
            "guidance": "Yes if the agent does so in own words. No if the agent does not, or does it too late to help.",
            "weight": n % 5 + 1, "auto_fail": if n == 7 { "section" } else { "none" }, "not_applicable": true
        })
    };
    let section = |n: usize| {
        let criteria: Vec<Value> = (n * 5..(n + 1) * 5).map(criterion).collect();
        json!({"key": format!("section_{n}"), "name": format!("Section {n}"), "weight": n + 1, "criteria": criteria})
    };
    let sections: Vec<Value> = (0..4).map(section).collect();
    Ok(serde_json::from_value(json!({"name": "Service", "pass_mark": 70, "sections": sections}))?)
}

/// Fills the house with evaluated calls, the newest a minute ago.
pub async fn fill(house: &House, definition: &Definition, calls: i32) -> Outcome<()> {
    let (mut client, schema) = (house.client().await?, house.schema());
    let tx = client.transaction().await?;
    tx.batch_execute(
        "create temp table templates (template integer, utterances jsonb, answers jsonb, scores jsonb, overall integer, passed boolean)
         on commit drop",
    )
    .await?;
    let insert = tx.prepare("insert into templates values ($1, $2, $3, $4, $5, $6)").await?;
    for n in 0..TEMPLATES {
        let made = template(definition, n as u64).await?;
        let (n, overall) = (n as i32, made.overall.map(u32::cast_signed));
        let said = Json(&made.utterances);
        tx.execute(&insert, &[&n, &said, &Json(&made.answers), &made.scores, &overall, &made.passed]).await?;
    }
    let text = SQL.replace("SCHEMA", &schema).replace("TEMPLATES", &TEMPLATES.to_string());
    let text = text.replace("CALLS", &calls.to_string()).replace("AGENTS", &AGENTS.to_string());
    tx.batch_execute(&text.replace("ORGANIZATION", &house.organization.to_string())).await?;
    tx.commit().await?;
    // Apart: several statements that are sent together are one transaction, in which nothing is vacuumed.
    client.batch_execute("vacuum analyze").await?;
    client.batch_execute("checkpoint").await?;
    Ok(())
}

struct Template {
    utterances: Vec<Utterance>,
    answers: Vec<Answer>,
    scores: Value,
    overall: Option<u32>,
    passed: Option<bool>,
}

async fn template(definition: &Definition, n: u64) -> Outcome<Template> {
    let utterances = dialogue(n);
    let questions = Questions::of(definition, &utterances, &[]);
    let answers: Vec<Answer> = questions.answers(&raw(definition, &utterances, n), &[])?;
    let material = Material {
        evaluation_id: plumbline::foundation::ids::EvaluationId::new(),
        assessed_at: plumbline::foundation::clock::Clock::system().now(),
        call: CallFacts {
            id: n.to_string(),
            channel: "phone".to_owned(),
            language: "en".to_owned(),
            started_at_ms: None,
            duration_ms: None,
        },
        transcript: utterances.clone(),
        metrics: vec![],
        scorecard: definition.for_plugins(1),
        definition: definition.clone(),
        human: vec![],
    };
    let output = BuiltIn.score(&material.score_input(&answers)).await?;
    let scores = serde_json::to_value(&output.criteria)?;
    Ok(Template { utterances, answers, scores, overall: output.overall, passed: scoring::passed(definition, &output) })
}

/// What a language model would have said: mostly yes, with words of the agent.
fn raw(definition: &Definition, utterances: &[Utterance], n: u64) -> String {
    let mut chance = Chance::new(n + 10_000);
    let agent: Vec<&Utterance> = utterances.iter().filter(|one| one.speaker == Speaker::Agent).collect();
    let mut answer = || {
        let verdict = ["yes", "yes", "yes", "yes", "no", "not_applicable"][chance.below(6)];
        let quoted = agent[chance.below(agent.len())];
        let quote: String = quoted.text.chars().take(60).collect();
        json!({
            "verdict": verdict, "confidence": 0.9, "evidence": [{"utterance": quoted.n, "quote": quote}],
            "rationale": "The agent says so in plain words, soon after the customer has asked, and comes back to it at the end."
        })
    };
    let answers: Map<String, Value> =
        definition.criteria().map(|criterion| (criterion.key.clone(), answer())).collect();
    Value::Object(answers).to_string()
}

/// The calls of all dialogues in turn. Every transcript has a word of its own.
const SQL: &str = "
insert into SCHEMA.agents (agent_id, organization_id, display_name, created_at, updated_at)
select gen_random_uuid(), 'ORGANIZATION', 'Agent ' || n, now(), now() from generate_series(1, AGENTS) n;

create temp table copies on commit drop as
select gen_random_uuid() as call_id, gen_random_uuid() as evaluation_id, n, n % TEMPLATES as template, now() - n * interval '1 minute' as at,
    (array(select agent_id from SCHEMA.agents order by agent_id))[1 + n % AGENTS] as agent_id
from generate_series(1, CALLS) n;
analyze copies;

insert into SCHEMA.calls (call_id, organization_id, agent_id, external_id, channel, language, status, duration_ms, started_at, received_at,
    transcribed_at, evaluated_at, overall_score, queue, direction)
select call_id, 'ORGANIZATION', agent_id, 'bench-' || n, 'phone', 'en', 'evaluated', 240000, at, at, at, at, overall / 100.0, 'queue ' || n % 6, 'inbound'
from copies join templates using (template);

insert into SCHEMA.transcriptions (call_id, organization_id, agent_id, provider, language, digest, redacted_digest, redaction, redaction_digest,
    metrics, submitted_at, completed_at)
select call_id, 'ORGANIZATION', agent_id, 'bench', 'en', repeat('a', 64), repeat('b', 64), '[]', repeat('c', 64),
    jsonb_build_object('duration_ms', 240000 + n, 'longest_silence_ms', 1000 + n % 5000, 'agent_talk_ms', 120000 + n, 'interruptions', n % 4), at, at
from copies;

insert into SCHEMA.utterances (call_id, n, organization_id, agent_id, speaker, start_ms, end_ms, text, redacted_text)
select c.call_id, (u ->> 'n')::integer, 'ORGANIZATION', c.agent_id, u ->> 'speaker', (u ->> 'start_ms')::bigint, (u ->> 'end_ms')::bigint,
    (u ->> 'text') || ' ' || c.n, (u ->> 'text') || ' ' || c.n
from copies c join templates t using (template) cross join lateral jsonb_array_elements(t.utterances) u;

insert into SCHEMA.evaluations (evaluation_id, call_id, organization_id, agent_id, scorecard_version_id, status, provider, model, prompt_digest,
    prompt_builder, raw_answer, answers, prompt_tokens, completion_tokens, scorer, overall_score, passed, receipt, assessed_at, evaluated_at)
select c.evaluation_id, c.call_id, 'ORGANIZATION', c.agent_id, v.scorecard_version_id, 'evaluated', 'bench', 'bench', repeat('d', 64), 'built-in',
    '{}', t.answers, 0, 0, 'built-in', t.overall / 100.0, t.passed, '{}', c.at, c.at
from copies c join templates t using (template) cross join SCHEMA.scorecard_versions v;

insert into SCHEMA.scores (evaluation_id, criterion_key, organization_id, agent_id, section_key, verdict, score, passed)
select c.evaluation_id, s ->> 'key', 'ORGANIZATION', c.agent_id, 'section', 'yes', (s ->> 'score')::integer / 100.0, (s ->> 'passed')::boolean
from copies c join templates t using (template) cross join lateral jsonb_array_elements(t.scores) s;";
