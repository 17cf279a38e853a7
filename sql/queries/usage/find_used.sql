-- usage/find_used: what a day and the tenant have used; one row, of zeros where there is none
select coalesce(used.calls, 0) as calls, coalesce(used.audio_ms, 0) as audio_ms,
       coalesce(total.stored_bytes, 0) as stored_bytes, coalesce(total.plugins, 0) as plugins
from (values ($1::uuid)) as root (id)
left join tenant.usage_days used on used.organization_id = root.id and used.day = $2
left join tenant.usage_totals total on total.organization_id = root.id
