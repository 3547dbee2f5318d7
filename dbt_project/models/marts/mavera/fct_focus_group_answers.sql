with answers as (

    select * from {{ ref('stg_mavera__respondent_answers') }}

),

questions as (

    select * from {{ ref('stg_mavera__question_results') }}

),

calls as (

    select remote_id, record_key, job
    from {{ ref('int_mavera_calls') }}
    -- Results that arrived before the ledger noted completion already have their record.
    where kind = 'focus-groups' and state in ('done', 'waiting')

),

personas as (

    select distinct persona_id, record_key from {{ ref('dim_personas') }}

    union all

    -- The account's own personas answer for the group that each is mapped to.
    select remote_id as persona_id, max_by(record_key, begun_at) filter (where record_key is not null) as record_key
    from {{ ref('int_mavera_calls') }}
    where kind = 'enriched-personas' and state = 'done'
    group by remote_id

)

select
    answers.focus_group_id,
    answers.question_id,
    answers.persona_id,
    calls.record_key,
    personas.record_key as persona_record_key,
    calls.job,
    answers.persona_name,
    questions.question_type,
    questions.question,
    answers.answer,
    answers.reasoning,
    questions.question_number,
    answers.respondent_number,
    answers.answer_number
from answers
join questions
    on answers.focus_group_id = questions.focus_group_id and answers.question_id = questions.question_id
left join calls on answers.focus_group_id = calls.remote_id
left join personas on answers.persona_id = personas.persona_id
