-- backtests/insert: a back-test that waits; nothing while another one of the organization waits or runs
insert into tenant.backtests
    (backtest_id, organization_id, digest, settings, settings_digest, filter, status, calls_total, requested_by, created_at)
values ($1, $2, $3, $4, $5, $6, 'waiting', $7, $8, $9)
on conflict (organization_id) where status in ('waiting', 'running') do nothing
