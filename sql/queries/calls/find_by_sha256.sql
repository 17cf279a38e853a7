-- calls/find_by_sha256: the call that has this very recording in the organization
select call_id from tenant.audio_files
where organization_id = $1
  and sha256 = $2
