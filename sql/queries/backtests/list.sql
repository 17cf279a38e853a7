-- backtests/list: those of a version, newest first, after a position
select backtests.*
from unnest($1::uuid[]) as reached (organization_id)
cross join lateral (
    select b.backtest_id, b.organization_id, b.digest, b.settings, b.settings_digest, b.filter, b.status, b.cancel_requested, b.calls_total,
        b.calls_done, b.calls_scored, b.failure, b.requested_by, b.created_at, b.started_at, b.ended_at
    from tenant.backtests b
    where b.organization_id = reached.organization_id
      and b.digest = $2
      and (b.created_at, b.backtest_id)
          < (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    order by b.created_at desc, b.backtest_id desc
    limit $5
) backtests
order by backtests.created_at desc, backtests.backtest_id desc
limit $5
