-- scorecards/active: what calls of an organization are judged by: its newest published version, or that of a named scorecard
select scorecard_version_id, scorecard_id, organization_id, version, definition, digest, published_at, published_by
from tenant.scorecard_versions
where organization_id = $1
  and organization_id = any ($2)
  and ($3::uuid is null or scorecard_id = $3)
order by published_at desc, version desc, scorecard_version_id desc
limit 1
