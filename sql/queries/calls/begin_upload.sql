-- calls/begin_upload: an object is on its way; if nobody finishes it, it is swept away
insert into platform.uploads (object_key, tenant_id, organization_id, started_at)
values ($1, $2, $3, $4)
