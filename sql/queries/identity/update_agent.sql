-- identity/update_agent: compare-and-set by revision; no row means that somebody else was faster
update tenant.agents
set user_id = $4, external_id = $5, display_name = $6, status = $7, updated_at = $8, revision = revision + 1
where agent_id = $1
  and organization_id = any ($2)
  and revision = $3
