-- usage/count_plugin: a plugin version and its bytes; no row when the tenant has no room ($4 plugins, $5 bytes)
with counted as (
    insert into tenant.usage_days (organization_id, day, stored_bytes)
    values ($1, $2, $3)
    on conflict (organization_id, day) do update
    set stored_bytes = usage_days.stored_bytes + excluded.stored_bytes
    returning organization_id
)
insert into tenant.usage_totals (organization_id, stored_bytes, plugins)
select organization_id, $3::bigint, 1 from counted
where ($4::bigint is null or 1 <= $4)
  and ($5::bigint is null or $3 <= $5)
on conflict (organization_id) do update
set stored_bytes = usage_totals.stored_bytes + excluded.stored_bytes,
    plugins = usage_totals.plugins + 1
    where ($4::bigint is null or usage_totals.plugins < $4)
      and ($5::bigint is null or usage_totals.stored_bytes + excluded.stored_bytes <= $5)
