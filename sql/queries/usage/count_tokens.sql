-- usage/count_tokens: tokens that were paid for an answer of which nothing could be used
insert into tenant.usage_days (organization_id, day, prompt_tokens, completion_tokens)
values ($1, $2, $3, $4)
on conflict (organization_id, day) do update
set prompt_tokens = usage_days.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = usage_days.completion_tokens + excluded.completion_tokens
