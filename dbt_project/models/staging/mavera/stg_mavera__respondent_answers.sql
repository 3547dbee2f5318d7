with source as (

    {{ readable('raw_mavera', 'focus_groups') }}

),

questions as (

    select
        id as focus_group_id,
        {{ explode_rows(json_text('results', 'questions')) }} as question
    from source

),

exploded as (

    select
        focus_group_id,
        {{ json_text('question', 'question_id') }} as question_id,
        {{ explode_rows(json_text('question', 'responses')) }} as response
    from questions

),

renamed as (

    select
        -- ids
        focus_group_id,
        question_id,
        {{ json_text('response', 'persona_id') }} as persona_id,

        -- text
        {{ json_text('response', 'persona_name') }} as persona_name,
        {{ json_text('response', 'answer') }} as answer,
        {{ json_text('response', 'reasoning') }} as reasoning,

        -- numbers
        {{ whole(number_in(json_text('response', 'respondent'))) }} as respondent_number,
        {{ number_in(json_text('response', 'answer')) }} as answer_number
    from exploded
    where question_id is not null
        and {{ number_in(json_text('response', 'respondent')) }} is not null

)

{{ one_each('renamed', ['focus_group_id', 'question_id', 'respondent_number'], 'answer, persona_id') }}
