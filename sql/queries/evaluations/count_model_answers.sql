-- evaluations/count_model_answers: the tokens of these answers are in the usage from now on
update tenant.model_answers
set counted = true
where call_id = $1
  and request_digest = any ($2)
  and organization_id = any ($3)
