-- tenancy/changed: who changed lately, and what time it is where changes are noted; a look overlaps the one before, because a change is
-- seen some time after the moment that it names
select moment.at, changed.tenant_id, changed.changed_at
from (select clock_timestamp() as at) moment
left join platform.tenants changed on changed.changed_at > coalesce($1::timestamptz, moment.at) - interval '10 seconds'
