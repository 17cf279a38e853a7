-- usage/count_call: a written conversation on its day; no row when the day has no room ($3)
insert into tenant.usage_days (organization_id, day, calls)
select $1::uuid, $2::date, 1
where $3::bigint is null or 1 <= $3
on conflict (organization_id, day) do update
set calls = usage_days.calls + 1
    where $3::bigint is null or usage_days.calls < $3
