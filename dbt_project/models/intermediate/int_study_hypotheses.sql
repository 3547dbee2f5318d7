select
    calls.call_id,
    calls.record_key,
    calls.remote_id as focus_group_id,
    calls.job,
    rules.hypothesis,
    rules.confirming_answer,
    rules.if_confirmed,
    rules.if_refuted,
    rules.question_number,
    rules.confirmed_above
from {{ ref('int_mavera_calls') }} as calls
join {{ ref('int_hypotheses_declared') }} as rules on calls.job = rules.job
where calls.kind = 'focus-groups'
    and calls.state in ('done', 'waiting')
    -- A study that did not offer this answer, because it was sent before the words were changed, decides nothing.
    and {{ dbt.position("concat_ws('', '\"', rules.confirming_answer, '\"')", 'cast(calls.payload as ' ~ dbt.type_string() ~ ')') }} > 0
