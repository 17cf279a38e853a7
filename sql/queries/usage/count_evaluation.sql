-- usage/count_evaluation: an evaluation that a language model answered, and its tokens
insert into tenant.usage_days (organization_id, day, evaluations, prompt_tokens, completion_tokens)
values ($1, $2, 1, $3, $4)
on conflict (organization_id, day) do update
set evaluations = usage_days.evaluations + 1,
    prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = usage_days.completion_tokens + excluded.completion_tokens
