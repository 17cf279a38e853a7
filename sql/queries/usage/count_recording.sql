-- usage/count_recording: a recording, its audio and its bytes; says whether the day ($5 calls, $6 audio) and the tenant ($7 bytes) had room.
-- The day's row is locked before the tenant's, here and in every other statement
with counted as (
    insert into tenant.usage_days (organization_id, day, calls, audio_ms, stored_bytes)
    select $1::uuid, $2::date, 1, $3::bigint, $4::bigint
    where ($5::bigint is null or 1 <= $5)
      and ($6::bigint is null or (0 < $6 and $3 <= $6))
    on conflict (organization_id, day) do update
    set calls = usage_days.calls + 1,
        audio_ms = usage_days.audio_ms + excluded.audio_ms,
        stored_bytes = usage_days.stored_bytes + excluded.stored_bytes
        where ($5::bigint is null or usage_days.calls < $5)
          and ($6::bigint is null or (usage_days.audio_ms < $6 and usage_days.audio_ms + excluded.audio_ms <= $6))
    returning organization_id
), kept as (
    insert into tenant.usage_totals (organization_id, stored_bytes)
    select organization_id, $4::bigint from counted
    where $7::bigint is null or $4 <= $7
    on conflict (organization_id) do update
    set stored_bytes = usage_totals.stored_bytes + excluded.stored_bytes
        where $7::bigint is null or usage_totals.stored_bytes + excluded.stored_bytes <= $7
    returning organization_id
)
select exists (select from counted) as day, exists (select from kept) as tenant
