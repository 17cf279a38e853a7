-- calls/admit: whether the organization takes calls, and whether agent and scorecard are its own
select exists (select from tenant.organizations where organization_id = $1 and status = 'active') as organization,
       $2::uuid is null or exists (select from tenant.agents where agent_id = $2 and organization_id = $1 and status = 'active') as agent,
       $3::uuid is null or exists (select from tenant.scorecards where scorecard_id = $3 and organization_id = $1 and retired_at is null) as scorecard
