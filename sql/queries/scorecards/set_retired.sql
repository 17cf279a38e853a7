-- scorecards/set_retired: compare-and-set; no row means that somebody else changed the scorecard first
update tenant.scorecards
set retired_at = $4, revision = revision + 1, updated_at = $5
where scorecard_id = $1
  and organization_id = any ($2)
  and revision = $3
