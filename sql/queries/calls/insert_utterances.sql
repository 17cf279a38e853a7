-- calls/insert_utterances: what was said, in one statement
insert into tenant.utterances (call_id, n, organization_id, agent_id, speaker, start_ms, end_ms, text, redacted_text)
select $1, u.n, $2, $3, u.speaker, u.start_ms, u.end_ms, u.text, u.redacted_text
from unnest($4::int4[], $5::text[], $6::int8[], $7::int8[], $8::text[], $9::text[]) as u (n, speaker, start_ms, end_ms, text, redacted_text)
