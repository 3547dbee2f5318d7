with analyses as (

    {{ one_each(ref('fct_analyses'), ['record_key'], 'asked_at desc, analysis_id') }}

),

texts as (

    {{ one_each(ref('fct_generations'), ['record_key'], 'asked_at desc, generation_id desc') }}

),

{# A new question of a record is a new study; the latest with results counts. -#}
studies as (

    select
        focus_group_id,
        record_key,
        min(job) as job,
        min(focus_group_name) as focus_group_name,
        count(*) as question_count,
        max(response_count) as respondent_count,
        min(asked_at) as asked_at,
        max(answered_at) as answered_at,
        row_number() over (partition by record_key order by min(asked_at) desc, focus_group_id) as recency
    from {{ ref('fct_question_results') }}
    where record_key is not null
    group by focus_group_id, record_key

),

askers as (

    select focus_group_id, count(distinct asked) as persona_count
    from {{ ref('fct_study_verdicts') }}
    where asked <> 'all'
    group by focus_group_id

),

-- What all personas together say to the deciding question; a study without a hypothesis has none.
decided as (

    select * from {{ ref('fct_study_verdicts') }} where asked = 'all' and is_deciding

),

rewrites as (

    {{ one_each(ref('fct_flow_rewrites'), ['record_key'], 'written_at desc, generation_call_id') }}

),

come_back as (

    select
        'analyses' as kind,
        record_key,
        job,
        analysis_id as answer_id,
        {{ json_text('facts', 'media_name') }} as title,
        {{ task_of('question') }} as asked,
        {{ without_reference('question') }} as question,
        {{ without_reference('answer') }} as answer,
        {{ first_recommendation(without_reference('answer')) }} as recommendation,
        case when job = 'drop-offs' then 'Make this edit in Wistia. “Did it help?” then compares what viewers watch before and after'
            else 'Do it, then note the day in dbt_project/seeds/put_in.csv. “Did it help?” lists it'
        end as to_do,
        cast(null as {{ dbt.type_string() }}) as profile,
        cast(sources as {{ dbt.type_string() }}) as sources,
        asked_at,
        answered_at
    from analyses
    where answer is not null

    union all

    select
        'generations' as kind,
        texts.record_key,
        texts.job,
        texts.generation_id as answer_id,
        coalesce(rewrites.message_name, {{ without_reference('texts.title') }}) as title,
        case
            when rewrites.record_key is not null then concat_ws('', 'A new text for “', rewrites.message_name, '” of the flow “', rewrites.flow_name, '”')
            when {{ json_text('texts.input_data', 'target_audience') }} is not null
                then concat_ws('', {{ json_text('texts.input_data', 'topic') }}, '. For: ', {{ json_text('texts.input_data', 'target_audience') }})
            else {{ json_text('texts.input_data', 'topic') }}
        end as asked,
        cast(null as {{ dbt.type_string() }}) as question,
        {{ without_reference('texts.generated_text') }} as answer,
        cast(null as {{ dbt.type_string() }}) as recommendation,
        case
            when texts.job = 'flow-rewrites' and rewrites.is_edited then 'It was edited since: see “Did it help?”'
            when texts.job = 'flow-rewrites' then concat_ws('', 'Put this text into “', coalesce(rewrites.message_name, rewrites.flow_message_id), '” in Klaviyo')
            when texts.job = 'viewer-follow-ups' and coalesce(cohorts.mailable_lead_count, 0) = 0
                then 'Keep it: no recent lead of this group may be mailed'
            when texts.job = 'viewer-follow-ups' then concat_ws('',
                'Send it to the ', {{ one_or_many('cohorts.mailable_lead_count', 'lead', 'leads') }}, ' of this group who may be mailed'
            )
        end as to_do,
        cast(null as {{ dbt.type_string() }}) as profile,
        cast(null as {{ dbt.type_string() }}) as sources,
        texts.asked_at,
        texts.answered_at
    from texts
    left join rewrites on texts.record_key = rewrites.record_key
    left join {{ ref('agg_lead_cohorts') }} as cohorts on texts.record_key = concat_ws('', 'viewer-follow-ups:', cohorts.cohort)
    where texts.generated_text is not null

    union all

    select
        'focus-groups' as kind,
        studies.record_key,
        studies.job,
        studies.focus_group_id as answer_id,
        {{ without_reference('studies.focus_group_name') }} as title,
        concat_ws('',
            {{ one_or_many('studies.question_count', 'question', 'questions') }}, ' to ',
            {{ one_or_many('studies.respondent_count', 'synthetic respondent', 'synthetic respondents') }}, ' of ',
            {{ one_or_many('askers.persona_count', 'persona', 'personas') }},
            case when decided.hypothesis is null then '' else concat_ws('', '. The hypothesis: ', trim(trailing '.' from decided.hypothesis)) end
        ) as asked,
        cast(null as {{ dbt.type_string() }}) as question,
        cast(null as {{ dbt.type_string() }}) as answer,
        cast(null as {{ dbt.type_string() }}) as recommendation,
        case when decided.verdict = 'too few' then 'Too few answers to decide anything' else decided.to_do end as to_do,
        cast(null as {{ dbt.type_string() }}) as profile,
        cast(null as {{ dbt.type_string() }}) as sources,
        studies.asked_at,
        studies.answered_at
    from studies
    left join askers on studies.focus_group_id = askers.focus_group_id
    left join decided on studies.focus_group_id = decided.focus_group_id
    where studies.recency = 1

    union all

    select
        'brand-voices' as kind,
        record_key,
        job,
        brand_voice_id as answer_id,
        voice_label as title,
        concat_ws('',
            'A voice from ', {{ one_or_many('coalesce(media_count, 0)', 'transcript', 'transcripts') }}, ', about ',
            {{ one_or_many('coalesce(word_count, 0)', 'word', 'words') }}
        ) as asked,
        cast(null as {{ dbt.type_string() }}) as question,
        voice_summary as answer,
        cast(null as {{ dbt.type_string() }}) as recommendation,
        'Give it to whoever writes for you; the texts on this page are written in it' as to_do,
        cast({{ json_build([
            ['Sounds', 'adjectives'],
            ['Do', 'dos'],
            ['Avoid', 'donts'],
            ['Sentences', 'sentence_structure'],
            ['Jargon', 'jargon_usage'],
            ['Words to use', 'preferred_terms'],
            ['Words to avoid', 'avoided_terms'],
            ['For example', 'cast(example_phrases as ' ~ dbt.type_string() ~ ')'],
        ]) }} as {{ dbt.type_string() }}) as profile,
        cast(null as {{ dbt.type_string() }}) as sources,
        asked_at,
        updated_at as answered_at
    from {{ ref('dim_brand_voices') }}
    where is_current

    union all

    select
        'personas' as kind,
        record_key,
        job,
        persona_id as answer_id,
        persona_name as title,
        cast(null as {{ dbt.type_string() }}) as asked,
        {{ without_reference('description') }} as question,
        cast(null as {{ dbt.type_string() }}) as answer,
        cast(null as {{ dbt.type_string() }}) as recommendation,
        case standing
            when 'missing' then 'Somebody deleted it in Mavera: run make activate to make it again, or take the group out of the job'
            when 'changed_by_hand' then 'Somebody changed it in Mavera: python -m activate drift shows how'
        end as to_do,
        profile,
        cast(null as {{ dbt.type_string() }}) as sources,
        valid_from as asked_at,
        valid_from as answered_at
    from {{ ref('dim_personas') }}
    where is_current

)

select
    concat_ws('', come_back.kind, '/', come_back.record_key) as record_id,
    come_back.kind,
    come_back.record_key,
    come_back.job,
    come_back.answer_id,
    come_back.title,
    come_back.asked,
    come_back.question,
    come_back.answer,
    come_back.recommendation,
    come_back.to_do,
    come_back.profile,
    come_back.sources,
    records.credits,
    come_back.asked_at,
    come_back.answered_at
from come_back
left join {{ ref('dim_records') }} as records
    on come_back.kind = records.kind and come_back.record_key = records.record_key
