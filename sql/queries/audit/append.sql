-- audit/append: one entry; no role may change or delete it afterwards
insert into tenant.audit_events
    (audit_event_id, organization_id, actor, action, subject_kind, subject_id, request_id, details, occurred_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, now())
