-- scorecards/list_versions: newest first, after a position
select scorecard_version_id, scorecard_id, organization_id, version, definition, digest, published_at, published_by
from tenant.scorecard_versions
where scorecard_id = $1
  and organization_id = any ($2)
  and (published_at, scorecard_version_id)
      < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by published_at desc, scorecard_version_id desc
limit $5
