-- scorecards/has_scorer: whether a plugin scores an organization's calls, and so may answer criteria
select exists (
    select from tenant.plugin_bindings
    where organization_id = $1
      and organization_id = any ($2)
      and world = 'scorer'
      and ended_at is null
      and mode = 'active'
) as has_scorer
