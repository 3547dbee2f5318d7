with answers as (

    select
        *,
        -- Both kinds of scale on one: below the middle, in it, above it. Answers on neither scale have no band.
        case
            when question_type = 'LIKERT' and answer_number in (1, 2, 3, 4, 5) then cast(answer_number as bigint) - 3
            when question_type = 'NPS' and answer_number between 0 and 6 then -2
            when question_type = 'NPS' and answer_number > 6 and answer_number < 9 then 0
            when question_type = 'NPS' and answer_number between 9 and 10 then 2
        end as band
    from {{ ref('fct_focus_group_answers') }}
    where question_type in ('LIKERT', 'NPS')

),

counted as (

    select
        focus_group_id,
        question_id,
        band,
        record_key,
        job,
        question_type,
        question,
        question_number,
        count(*) as answer_count
    from answers
    where band is not null
    group by focus_group_id, question_id, band, record_key, job, question_type, question, question_number

),

with_total as (

    select
        *,
        cast(sum(answer_count) over (partition by focus_group_id, question_id) as bigint) as response_count
    from counted

)

select
    focus_group_id,
    question_id,
    band,
    record_key,
    job,
    question_type,
    question,
    question_number,
    answer_count,
    response_count,
    {{ share('answer_count', 'response_count') }} as answer_share,
    {{ is_small('response_count') }} as is_small_sample
from with_total
