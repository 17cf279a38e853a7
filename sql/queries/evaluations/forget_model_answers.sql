-- evaluations/forget_model_answers: answers that cannot be used, so that a later attempt asks anew; they were paid, and that was counted
delete from tenant.model_answers
where call_id = $1
  and request_digest = any ($2)
  and organization_id = any ($3)
