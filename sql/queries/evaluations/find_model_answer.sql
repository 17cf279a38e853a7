-- evaluations/find_model_answer: what the language model answered to a question about a call, if it was asked before
select model, fingerprint, content, prompt_tokens, completion_tokens, counted
from tenant.model_answers
where call_id = $1
  and request_digest = $2
  and organization_id = any ($3)
