-- scorecards/find_version: one published version; without a number the newest
select scorecard_version_id, scorecard_id, organization_id, version, definition, digest, published_at, published_by
from tenant.scorecard_versions
where scorecard_id = $1
  and organization_id = any ($2)
  and ($3::integer is null or version = $3)
order by version desc
limit 1
