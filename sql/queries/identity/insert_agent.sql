-- identity/insert_agent: a new, active one
insert into tenant.agents
    (agent_id, organization_id, user_id, external_id, display_name, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $6)
