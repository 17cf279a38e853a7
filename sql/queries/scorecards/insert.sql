-- scorecards/insert: a new scorecard, all draft
insert into tenant.scorecards (scorecard_id, organization_id, name, draft, created_at, updated_at)
values ($1, $2, $3, $4, $5, $5)
