-- calls/insert_audio_file: the stored recording of a call
insert into tenant.audio_files
    (audio_file_id, call_id, organization_id, agent_id, sha256, size_bytes, content_type, channels, agent_channel, object_key, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
