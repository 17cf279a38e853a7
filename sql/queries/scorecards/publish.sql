-- scorecards/publish: the draft becomes a version; no row means that somebody else changed the scorecard first
with emptied as (
    update tenant.scorecards
    set draft = null, revision = revision + 1, updated_at = $8
    where scorecard_id = $1
      and organization_id = any ($2)
      and revision = $3
      and draft is not null
    returning scorecard_id, organization_id
)
insert into tenant.scorecard_versions
    (scorecard_version_id, scorecard_id, organization_id, version, definition, digest, published_at, published_by)
select $4, scorecard_id, organization_id, $5, $6, $7, $8, $9
from emptied
