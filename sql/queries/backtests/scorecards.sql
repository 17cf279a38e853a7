-- backtests/scorecards: what calls are judged by
select scorecard_version_id, scorecard_id, version, definition, digest, published_at, published_by
from tenant.scorecard_versions
where scorecard_version_id = any ($1)
  and organization_id = any ($2)
