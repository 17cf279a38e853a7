-- scorecards/find: one scorecard, its draft, and the number of its newest version
select s.scorecard_id, s.organization_id, s.name, s.draft, s.retired_at, s.revision, s.created_at, s.updated_at,
    (select max(v.version) from tenant.scorecard_versions v
     where v.scorecard_id = s.scorecard_id and v.organization_id = any ($2)) as published_version
from tenant.scorecards s
where s.scorecard_id = $1
  and s.organization_id = any ($2)
