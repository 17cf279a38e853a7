-- backtests/find: a back-test, how far it is, and its report once it has ended
select b.backtest_id, b.organization_id, b.digest, b.settings, b.settings_digest, b.filter, b.status, b.cancel_requested, b.calls_total,
    b.calls_done, b.calls_scored, b.failure, b.requested_by, b.created_at, b.started_at, b.ended_at, b.report
from tenant.backtests b
where b.backtest_id = $1
  and b.organization_id = any ($2)
