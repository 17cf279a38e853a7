-- usage/count_cost: an organization's evaluation on its day, with the tokens that were paid for it and what they cost; no cost where there is no price
insert into tenant.usage_costs (organization_id, day, evaluations, prompt_tokens, completion_tokens, cost_micros, unpriced)
values ($1, $2, 1, $3, $4, coalesce($5::bigint, 0), case when $5::bigint is null then 1 else 0 end)
on conflict (organization_id, day) do update
set evaluations = usage_costs.evaluations + 1,
    prompt_tokens = usage_costs.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = usage_costs.completion_tokens + excluded.completion_tokens,
    cost_micros = usage_costs.cost_micros + excluded.cost_micros,
    unpriced = usage_costs.unpriced + excluded.unpriced
