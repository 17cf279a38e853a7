-- scorecards/update_draft: compare-and-set; no row means that somebody else changed the scorecard first
update tenant.scorecards
set name = $4, draft = $5, revision = revision + 1, updated_at = $6
where scorecard_id = $1
  and organization_id = any ($2)
  and revision = $3
