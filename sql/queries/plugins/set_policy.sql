-- plugins/set_policy: over revision $3, which is 0 where there is none; no row when another is there
insert into tenant.plugin_policies (organization_id, backtest_calls, revision, updated_by, updated_at)
values ($1, $2, 1, $4, $5)
on conflict (organization_id) do update
set backtest_calls = excluded.backtest_calls,
    revision = plugin_policies.revision + 1,
    updated_by = excluded.updated_by,
    updated_at = excluded.updated_at
where plugin_policies.revision = $3
returning revision
