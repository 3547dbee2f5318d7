with answers as (

    select
        focus_group_id,
        question_id,
        question_number,
        record_key,
        job,
        question_type,
        question,
        coalesce(persona_id, persona_name) as persona_id,
        persona_record_key,
        persona_name,
        answer,
        case when question_type <> 'LIKERT' or answer_number in (1, 2, 3, 4, 5) then answer_number end as answer_number,
        -- The upper end of a scale. Answers of other types are counted one by one below.
        case
            when question_type = 'LIKERT' and answer_number in (1, 2, 3, 4, 5) then answer_number >= 4
            when question_type = 'NPS' and answer_number between 0 and 10 then answer_number >= 9
        end as is_favorable,
        case when question_type = 'NPS' and answer_number between 0 and 10 then answer_number <= 6 end as is_detractor
    from {{ ref('fct_focus_group_answers') }}

),

-- Everybody together is one more group.
grouped as (

    select *, persona_id as asked from answers
    union all
    select *, 'all' as asked from answers

),

counted as (

    select
        focus_group_id,
        question_id,
        asked,
        min(question_number) as question_number,
        min(record_key) as record_key,
        min(job) as job,
        min(question_type) as question_type,
        min(question) as question,
        case when asked <> 'all' then min(persona_record_key) end as persona_record_key,
        case when asked <> 'all' then min(persona_name) end as persona_name,
        count(case when question_type not in ('LIKERT', 'NPS') or is_favorable is not null then 1 end) as answer_count,
        count(*) filter (where is_favorable) as favorable_count,
        count(*) filter (where is_detractor) as detractor_count,
        {{ mean('case when is_favorable is not null then answer_number end') }} as mean_answer
    from grouped
    group by focus_group_id, question_id, asked

),

chosen as (

    select
        focus_group_id,
        question_id,
        asked,
        answer,
        count(*) as chosen_count,
        row_number() over (partition by focus_group_id, question_id, asked order by count(*) desc, answer) as place
    from grouped
    where question_type not in ('LIKERT', 'NPS') and answer is not null
    group by focus_group_id, question_id, asked, answer

),

-- The deciding question of the study, with the answers that speak for its hypothesis.
hypotheses as (

    select
        focus_group_id,
        question_number,
        min(hypothesis) as hypothesis,
        min(if_confirmed) as if_confirmed,
        min(if_refuted) as if_refuted,
        max(confirmed_above) as confirmed_above
    from {{ ref('int_study_hypotheses') }}
    group by focus_group_id, question_number

),

confirming as (

    select
        grouped.focus_group_id,
        grouped.question_id,
        grouped.asked,
        count(*) as confirming_count
    from grouped
    join {{ ref('int_study_hypotheses') }} as rules
        on grouped.focus_group_id = rules.focus_group_id
        and grouped.question_number = rules.question_number
        and grouped.answer = rules.confirming_answer
    group by grouped.focus_group_id, grouped.question_id, grouped.asked

),

joined as (

    select
        counted.*,
        case counted.question_type when 'LIKERT' then '4 or 5' when 'NPS' then '9 or 10' else first.answer end as top_answer,
        case when counted.question_type in ('LIKERT', 'NPS') then counted.favorable_count else coalesce(first.chosen_count, 0) end
            as top_count,
        coalesce(second.chosen_count, 0) as second_count,
        hypotheses.hypothesis,
        hypotheses.if_confirmed,
        hypotheses.if_refuted,
        hypotheses.confirmed_above,
        case when hypotheses.hypothesis is not null then coalesce(confirming.confirming_count, 0) end as confirming_count
    from counted
    left join chosen as first
        on counted.focus_group_id = first.focus_group_id and counted.question_id = first.question_id
        and counted.asked = first.asked and first.place = 1
    left join chosen as second
        on counted.focus_group_id = second.focus_group_id and counted.question_id = second.question_id
        and counted.asked = second.asked and second.place = 2
    left join hypotheses
        on counted.focus_group_id = hypotheses.focus_group_id and counted.question_number = hypotheses.question_number
    left join confirming
        on counted.focus_group_id = confirming.focus_group_id and counted.question_id = confirming.question_id
        and counted.asked = confirming.asked

),

measured as (

    select
        *,
        {{ share_with_interval('top_count', 'answer_count', 'top_share') }},
        {{ share_with_interval('confirming_count', 'answer_count', 'confirming_share') }},
        {{ share('favorable_count - detractor_count', 'answer_count') }} as net_share,
        -- The first option against the second: half of those who chose either, by chance.
        (top_count - second_count) / nullif(sqrt(cast(top_count + second_count as double)), 0) as lead_z_score
    from joined

)

select
    focus_group_id,
    question_id,
    asked,
    record_key,
    job,
    persona_record_key,
    persona_name,
    question_type,
    question,
    top_answer,
    case
        when answer_count < {{ var('small_sample') }} then 'too few'
        when question_type = 'LIKERT' and top_share_low > 0.5 then 'most agree'
        when question_type = 'LIKERT' and top_share_high < 0.5 then 'fewer than half agree'
        when question_type = 'NPS' and net_share > {{ var('confidence_z') }} * sqrt(
            ({{ share('favorable_count + detractor_count', 'answer_count') }} - net_share * net_share) / nullif(answer_count, 0)
        ) then 'more promoters'
        when question_type = 'NPS' and -net_share > {{ var('confidence_z') }} * sqrt(
            ({{ share('favorable_count + detractor_count', 'answer_count') }} - net_share * net_share) / nullif(answer_count, 0)
        ) then 'more detractors'
        when question_type = 'MULTIPLE_CHOICE' and lead_z_score > {{ var('confidence_z') }} then 'clear lead'
        when question_type in ('LIKERT', 'NPS', 'MULTIPLE_CHOICE') then 'divided'
    end as outcome,
    hypothesis,
    case
        when hypothesis is null then null
        when answer_count < {{ var('small_sample') }} then 'too few'
        when confirming_share_low > confirmed_above then 'confirmed'
        when confirming_share_high < confirmed_above then 'refuted'
        else 'open'
    end as verdict,
    case
        when hypothesis is null or answer_count < {{ var('small_sample') }} then null
        when confirming_share_low > confirmed_above then coalesce(if_confirmed, 'Test it with customers next')
        when confirming_share_high < confirmed_above then coalesce(if_refuted, 'Look for another reason before you change anything')
        else 'Decide nothing from these answers: they are divided'
    end as to_do,
    question_number,
    answer_count,
    top_count,
    top_share,
    top_share_low,
    top_share_high,
    mean_answer,
    case when question_type = 'NPS' then 100 * net_share end as nps,
    confirmed_above,
    confirming_count,
    confirming_share,
    confirming_share_low,
    confirming_share_high,
    hypothesis is not null as is_deciding,
    {{ is_small('answer_count') }} as is_small_sample
from measured
