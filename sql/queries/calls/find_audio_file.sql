-- calls/find_audio_file: the recording of a call that the caller may see
select audio_file_id, sha256, size_bytes, content_type, channels, agent_channel, object_key
from tenant.audio_files
where call_id = $1
  and organization_id = any ($2)
