with questions as (

    select * from {{ ref('stg_mavera__question_results') }}

),

answered as (

    select
        focus_group_id,
        question_id,
        count(*) as response_count,
        {{ mean('answer_number') }} as mean_answer,
        stddev_samp(answer_number) as answer_deviation,
        -- Answers above 10 or below 0 are outside the scale of NPS.
        count(*) filter (where answer_number between 0 and 10) as scored_count,
        count(*) filter (where answer_number between 9 and 10) as promoter_count,
        count(*) filter (where answer_number >= 7 and answer_number < 9) as passive_count,
        count(*) filter (where answer_number >= 0 and answer_number < 7) as detractor_count
    from {{ ref('stg_mavera__respondent_answers') }}
    group by focus_group_id, question_id

),

calls as (

    select remote_id, record_key, job, facts, ended_at
    from {{ ref('int_mavera_calls') }}
    -- Results that arrived before the ledger noted completion already have their record.
    where kind = 'focus-groups' and state in ('done', 'waiting')

),

scored as (

    select
        questions.*,
        coalesce(answered.response_count, 0) as response_count,
        answered.mean_answer,
        answered.answer_deviation,
        case when questions.question_type = 'NPS' then answered.promoter_count end as promoter_count,
        case when questions.question_type = 'NPS' then answered.passive_count end as passive_count,
        case when questions.question_type = 'NPS' then answered.detractor_count end as detractor_count,
        case
            when questions.question_type = 'NPS'
                then 100 * ({{ share('answered.promoter_count', 'answered.scored_count') }}
                    - {{ share('answered.detractor_count', 'answered.scored_count') }})
        end as nps
    from questions
    left join answered
        on questions.focus_group_id = answered.focus_group_id and questions.question_id = answered.question_id

)

select
    scored.focus_group_id,
    scored.question_id,
    calls.record_key,
    calls.job,
    groups.focus_group_name,
    scored.question_type,
    scored.question,
    scored.reported,
    calls.facts,
    scored.question_number,
    scored.response_count,
    scored.mean_answer,
    scored.answer_deviation,
    scored.promoter_count,
    scored.passive_count,
    scored.detractor_count,
    scored.nps,
    scored.reported_nps,
    -- Mavera may round to whole points.
    abs(scored.nps - scored.reported_nps) <= 0.5 as is_nps_as_reported,
    {{ is_small('scored.response_count') }} as is_small_sample,
    groups.created_at as asked_at,
    calls.ended_at as answered_at
from scored
join {{ ref('stg_mavera__focus_groups') }} as groups on scored.focus_group_id = groups.focus_group_id
left join calls on scored.focus_group_id = calls.remote_id
