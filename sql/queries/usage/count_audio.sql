-- usage/count_audio: audio whose length only its transcript told
insert into tenant.usage_days (organization_id, day, audio_ms)
values ($1, $2, $3)
on conflict (organization_id, day) do update
set audio_ms = usage_days.audio_ms + excluded.audio_ms
