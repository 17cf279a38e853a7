-- identity/list_agents: newest first, after a position; each organization's index gives its first few, so that nothing is sorted but those
select found.*
from unnest($1::uuid[]) as reached (organization_id)
cross join lateral (
    select agent_id, t.organization_id, user_id, external_id, display_name, status, revision, created_at, updated_at
    from tenant.agents t
    where t.organization_id = reached.organization_id
      and (t.created_at, t.agent_id)
          < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    order by t.created_at desc, t.agent_id desc
    limit $4
) as found
order by created_at desc, agent_id desc
limit $4
