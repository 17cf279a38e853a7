-- usage/count_paid: what an organization paid a language model besides evaluations; no cost where there is no price
insert into tenant.usage_costs (organization_id, day, prompt_tokens, completion_tokens, cost_micros)
values ($1, $2, $3, $4, coalesce($5::bigint, 0))
on conflict (organization_id, day) do update
set prompt_tokens = usage_costs.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = usage_costs.completion_tokens + excluded.completion_tokens,
    cost_micros = usage_costs.cost_micros + excluded.cost_micros
