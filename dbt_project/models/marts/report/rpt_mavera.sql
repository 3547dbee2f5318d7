with questions as (

    select distinct
        focus_group_id,
        question_id,
        is_small_sample
    from {{ ref('fct_answer_bands') }}

),

counted as (

    select
        count(*) as question_count,
        count(*) filter (where is_small_sample) as small_question_count
    from questions

),

highest as (

    select
        question,
        answer_share
    from {{ ref('fct_answer_bands') }}
    where band = 2 and not is_small_sample
    order by answer_share desc, job, focus_group_id, question_number
    limit 1

),

jobs as (

    select
        count(*) as job_count,
        count(*) filter (where standing_count > 0) as job_with_records_count
    from {{ ref('rpt_job_results') }}

)

select
    'Mavera' as section,
    highest.question as highest_question,
    highest.answer_share as highest_answer_share,
    counted.question_count,
    counted.small_question_count,
    jobs.job_count,
    jobs.job_with_records_count
from counted
cross join jobs
left join highest on true
