-- evaluations/insert: what the language model answered, and what of its evidence is in the transcript; before anything is scored. The call's
-- evaluation before is current no more
with replaced as (
    update tenant.evaluations
    set is_current = false
    where call_id = $2
      and is_current
      and organization_id = any ($22)
    returning evaluation_id
)
insert into tenant.evaluations
    (evaluation_id, call_id, organization_id, agent_id, scorecard_version_id, status, provider, model, prompt_digest, prompt_builder,
     raw_answer, answers, prompt_tokens, completion_tokens, needs_review, receipt, assessed_at, revision, cause, replaces, transcript_version,
     rescore_id, fingerprint, parameters, quotes, quotes_rejected, human_answers, cost_micros,
     plugin_fuel, plugin_us)
select $1, $2, $3, $4, $5, 'assessed', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $23, $24, $25, $26, $27, $28,
    $29, $30
from (select count(*) from replaced) done
