-- backtests/find_standing: where a back-test goes on
select b.backtest_id, b.organization_id, b.digest, b.settings, b.settings_digest, b.filter, b.status, b.cancel_requested, b.calls_total,
    b.calls_done, b.calls_scored, b.failure, b.requested_by, b.created_at, b.started_at, b.ended_at, b.cursor_at, b.cursor_id, b.found, p.name, p.version, p.world, p.object_key
from tenant.backtests b
join tenant.plugin_versions p on p.digest = b.digest and p.organization_id = any ($3)
where b.backtest_id = $1
  and b.organization_id = any ($2)
