-- calls/insert: a call as it arrives
insert into tenant.calls
    (call_id, organization_id, agent_id, scorecard_id, external_id, channel, queue, direction, language, status, duration_ms, started_at, received_at, transcribed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
