-- identity/list_users: newest first, after a position; each organization's index gives its first few, so that nothing is sorted but those
select found.*
from unnest($1::uuid[]) as reached (organization_id)
cross join lateral (
    select user_id, t.organization_id, subject, display_name, email, status, revision, created_at, updated_at
    from tenant.users t
    where t.organization_id = reached.organization_id
      and (t.created_at, t.user_id)
          < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    order by t.created_at desc, t.user_id desc
    limit $4
) as found
order by created_at desc, user_id desc
limit $4
