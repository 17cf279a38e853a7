-- evaluations/settle_model_answers: the tokens of these answers are in the usage from now on; of those that were not, how many there are
with settled as (
    update tenant.model_answers
    set counted = true
    where call_id = $1
      and request_digest = any ($2)
      and organization_id = any ($3)
      and not counted
    returning prompt_tokens, completion_tokens
)
select coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens, coalesce(sum(completion_tokens), 0)::bigint as completion_tokens
from settled
