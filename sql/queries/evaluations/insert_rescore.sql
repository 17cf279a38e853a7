-- evaluations/insert_rescore: a re-score, and the calls that it takes; nothing when none fits, whether or not there is such an agent
with fits as (
    select c.call_id, c.organization_id, c.agent_id, e.evaluation_id
    from tenant.calls c
    join tenant.evaluations e
        on e.call_id = c.call_id and e.is_current and e.status = 'evaluated' and e.scorecard_version_id <> $3 and e.organization_id = any ($2)
    join tenant.scorecard_versions v on v.scorecard_version_id = e.scorecard_version_id and v.organization_id = any ($2)
    where c.organization_id = $1
      and c.organization_id = any ($2)
      and c.status = 'evaluated'
      and ($4::uuid is null or c.agent_id = $4)
      and ($5::timestamptz is null or c.received_at >= $5)
      and ($6::timestamptz is null or c.received_at < $6)
      and ($10::text is null or c.queue = $10)
      and ($11::text is null or c.channel = $11)
      and ($12::text is null or c.direction = $12)
      and ($13::text is null or starts_with(lower(replace(c.language, '_', '-')) || '-', lower(replace($13, '_', '-')) || '-'))
      and ($14::uuid is null or v.scorecard_id = $14)
      and ($15::integer is null or e.overall_score * 100 >= $15)
      and ($16::integer is null or e.overall_score * 100 < $16)
), made as (
    insert into tenant.rescores
        (rescore_id, organization_id, scorecard_version_id, status, agent_id, received_from, received_before, requested_by, created_at)
    select $7, $1, $3, 'waiting', $4, $5, $6, $8, $9
    where exists (select from fits)
    returning rescore_id
)
insert into tenant.rescore_items (rescore_id, call_id, organization_id, agent_id, status, before_id)
select made.rescore_id, fits.call_id, fits.organization_id, fits.agent_id, 'waiting', fits.evaluation_id
from fits
cross join made
