-- evaluations/keep_model_answer: what the language model answered, before anything is done with it
insert into tenant.model_answers
    (call_id, request_digest, organization_id, agent_id, provider, model, fingerprint, content, prompt_tokens, completion_tokens, answered_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (call_id, request_digest) do nothing
