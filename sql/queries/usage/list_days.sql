-- usage/list_days: the days of a range on which anything was used, newest first
select day, calls, audio_ms, stored_bytes, evaluations, prompt_tokens, completion_tokens
from tenant.usage_days
where organization_id = $1
  and day between $2 and $3
order by day desc
