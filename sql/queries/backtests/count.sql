-- backtests/count: how many evaluated calls of an organization fit, up to a number
select count(*) as calls
from (
    select
    from tenant.calls c
    join tenant.evaluations e
        on e.call_id = c.call_id and e.is_current and e.status = 'evaluated' and e.organization_id = any ($2)
    join tenant.scorecard_versions v on v.scorecard_version_id = e.scorecard_version_id and v.organization_id = any ($2)
    where c.organization_id = $1
      and c.organization_id = any ($2)
      and c.status = 'evaluated'
      and ($3::uuid is null or c.agent_id = $3)
      and ($4::timestamptz is null or c.received_at >= $4)
      and ($5::timestamptz is null or c.received_at < $5)
      and ($6::text is null or c.queue = $6)
      and ($7::text is null or c.channel = $7)
      and ($8::text is null or c.direction = $8)
      and ($9::uuid is null or v.scorecard_id = $9)
      and ($10::uuid is null or v.scorecard_version_id = $10)
    limit $11
) fit
