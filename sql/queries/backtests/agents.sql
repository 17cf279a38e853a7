-- backtests/agents: the names of agents
select agent_id, display_name
from tenant.agents
where agent_id = any ($1)
  and organization_id = any ($2)
