-- identity/find_agent: one agent of the organizations that the grant reaches
select agent_id, organization_id, user_id, external_id, display_name, status, revision, created_at, updated_at
from tenant.agents
where agent_id = $1
  and organization_id = any ($2)
