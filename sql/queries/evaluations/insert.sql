-- evaluations/insert: what the language model answered, and what of its evidence is in the transcript; before anything is scored
insert into tenant.evaluations
    (evaluation_id, call_id, organization_id, agent_id, scorecard_version_id, status, provider, model, prompt_digest, prompt_builder,
     raw_answer, answers, prompt_tokens, completion_tokens, needs_review, receipt, assessed_at)
values ($1, $2, $3, $4, $5, 'assessed', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
