-- evaluations/list_quote_checks: quotes that were held against transcripts, and those that are in none, by organization, scorecard version and period
-- (UTC), newest first. Revisions that stand on the same answer of the model count once
select organization_id, scorecard_id, scorecard_version_id, version, began, count(*) as evaluations,
    sum(quotes)::bigint as quotes, sum(quotes_rejected)::bigint as rejected
from (
    select distinct on (e.call_id, e.scorecard_version_id, e.prompt_digest, e.model)
        e.organization_id, v.scorecard_id, e.scorecard_version_id, v.version, e.quotes, e.quotes_rejected,
        date_trunc($4, e.assessed_at at time zone 'UTC')::date as began
    from tenant.evaluations e
    join tenant.scorecard_versions v on v.scorecard_version_id = e.scorecard_version_id and v.organization_id = any ($1)
    where e.organization_id = any ($1)
      and e.assessed_at >= $2::date::timestamp at time zone 'UTC'
      and e.assessed_at < ($3::date + 1)::timestamp at time zone 'UTC'
      and e.provider <> 'none'
    order by e.call_id, e.scorecard_version_id, e.prompt_digest, e.model, e.assessed_at
) answered
group by organization_id, scorecard_id, scorecard_version_id, version, began
order by began desc, organization_id, scorecard_id, version desc
