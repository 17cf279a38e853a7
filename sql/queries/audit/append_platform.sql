-- audit/append_platform: one event of the platform's own log, which is never changed afterwards
insert into platform.audit_events
    (audit_event_id, tenant_id, actor, action, subject_kind, subject_id, request_id, details, occurred_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
