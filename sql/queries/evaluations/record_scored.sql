-- evaluations/record_scored: compare-and-set with scores and insights in one statement; no row means that somebody else scored it first. The
-- answers come again where a plugin's are among them
with scored as (
    update tenant.evaluations
    set status = 'evaluated', scorer = $3, scorer_note = $4, overall_score = $5::integer / 100.0, passed = $17, receipt = $6, evaluated_at = $7,
        signature = $18, public_key = $19, answers = coalesce($20, answers), needs_review = coalesce($21, needs_review),
        plugin_fuel = plugin_fuel + $22, plugin_us = plugin_us + $23
    where evaluation_id = $1
      and organization_id = any ($2)
      and status in ('assessed', 'held')
    returning evaluation_id, organization_id, agent_id
), written_scores as (
    insert into tenant.scores (evaluation_id, criterion_key, organization_id, agent_id, section_key, verdict, score, passed, note)
    select evaluation_id, new.key, organization_id, agent_id, new.section, new.verdict, new.score / 100.0, new.passed, new.note
    from scored,
        unnest($8::text[], $9::text[], $10::text[], $11::integer[], $12::boolean[], $13::text[])
            as new (key, section, verdict, score, passed, note)
), written_insights as (
    insert into tenant.insights (evaluation_id, n, organization_id, agent_id, kind, criterion_key, text)
    select evaluation_id, new.n, organization_id, agent_id, new.kind, new.key, new.text
    from scored, unnest($14::text[], $15::text[], $16::text[]) with ordinality as new (kind, key, text, n)
)
select evaluation_id from scored
