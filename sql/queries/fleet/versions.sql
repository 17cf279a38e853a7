-- fleet/versions: how many tenants are at which version; the column of concurrent steps is younger than the table
select schema_version, coalesce((to_jsonb(fleet) ->> 'concurrent_version')::integer, 0) as concurrent_version, count(*) as tenants
from platform.tenants fleet
where status <> 'destroyed' and not (status = 'provisioning' and schema_version = 0)
group by 1, 2
