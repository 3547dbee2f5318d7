select
    concat_ws('', 'focus-groups/', verdicts.record_key) as record_id,
    verdicts.question_id,
    verdicts.asked,
    verdicts.persona_name,
    verdicts.question,
    verdicts.question_type,
    case
        when verdicts.answer_count = 0 then 'no answers'
        when verdicts.question_type = 'LIKERT' then concat_ws('',
            'mean ', cast(cast(round(verdicts.mean_answer, 1) as decimal(9, 1)) as {{ dbt.type_string() }}), ' of 5; ',
            {{ percent('verdicts.top_share') }}, ' say 4 or 5'
        )
        when verdicts.question_type = 'NPS' then concat_ws('',
            'NPS ', cast(cast(round(verdicts.nps) as bigint) as {{ dbt.type_string() }}), '; ', {{ percent('verdicts.top_share') }}, ' say 9 or 10'
        )
        else concat_ws('', '“', verdicts.top_answer, '”, ', {{ counted('verdicts.top_count') }}, ' of ', {{ counted('verdicts.answer_count') }})
    end as says,
    case verdicts.outcome
        when 'most agree' then 'most agree'
        when 'fewer than half agree' then 'fewer than half agree'
        when 'more promoters' then 'more promoters than detractors'
        when 'more detractors' then 'more detractors than promoters'
        when 'clear lead' then 'a clear lead'
        when 'divided' then 'no clear result'
        when 'too few' then 'too few answers'
    end as outcome,
    verdicts.hypothesis,
    verdicts.verdict,
    case when verdicts.is_deciding then concat_ws('',
        {{ counted('verdicts.confirming_count') }}, ' of ', {{ counted('verdicts.answer_count') }}, ' answers speak for it: ',
        {{ rate_in_words('verdicts.confirming_share') }}, '; needed are significantly more than ', {{ percent('verdicts.confirmed_above') }}
    )
    end as how_sure,
    verdicts.question_number,
    verdicts.answer_count,
    verdicts.is_deciding
from {{ ref('fct_study_verdicts') }} as verdicts
join {{ ref('fct_answers') }} as answers
    on answers.kind = 'focus-groups' and verdicts.focus_group_id = answers.answer_id
