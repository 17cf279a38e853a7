-- calls/delete_utterances: a transcript is about to be written anew
delete from tenant.utterances where call_id = $1
  and organization_id = any ($2)
