-- fleet/outdated: all that a run needs to know about the fleet: who is behind $1 and $2, how many are not, how many are ahead. A tenant
-- whose schema its provisioning is still to make is left to that, and one whose grace period is over to its destruction
select count(*) filter (where not behind and not ahead) as current,
       count(*) filter (where ahead) as newer,
       coalesce(array_agg(tenant_id order by tenant_id) filter (where behind), '{}') as tenant_ids,
       coalesce(array_agg(slug order by tenant_id) filter (where behind), '{}') as slugs
from (
    select tenant_id, slug,
           (schema_version, concurrent_version) > ($1, $2) as ahead,
           (schema_version, concurrent_version) < ($1, $2) as behind
    from platform.tenants
    where status <> 'destroyed'
      and not (status = 'provisioning' and schema_version = 0)
      and not (status = 'leaving' and leaves_at <= now())
) served
