-- usage/list_costs: what each organization's evaluations cost on the days of a range, newest first
select organization_id, day, evaluations, prompt_tokens, completion_tokens, cost_micros, unpriced, plugin_fuel, plugin_us
from tenant.usage_costs
where organization_id = any ($1)
  and day between $2 and $3
order by day desc, organization_id
