-- scorecards/list: newest first, after a position; each organization's index gives its first few, so that nothing is sorted but those
select found.*,
    (select max(v.version) from tenant.scorecard_versions v
     where v.scorecard_id = found.scorecard_id and v.organization_id = any ($1)) as published_version
from unnest($1::uuid[]) as reached (organization_id)
cross join lateral (
    select scorecard_id, s.organization_id, name, draft, retired_at, revision, created_at, updated_at
    from tenant.scorecards s
    where s.organization_id = reached.organization_id
      and (s.created_at, s.scorecard_id)
          < (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    order by s.created_at desc, s.scorecard_id desc
    limit $4
) as found
order by created_at desc, scorecard_id desc
limit $4
