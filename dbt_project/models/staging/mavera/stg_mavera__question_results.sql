with source as (

    {{ readable('raw_mavera', 'focus_groups') }}

),

exploded as (

    select
        id as focus_group_id,
        {{ explode_rows(json_text('results', 'questions')) }} as question
    from source

),

renamed as (

    select
        -- ids
        focus_group_id,
        {{ json_text('question', 'question_id') }} as question_id,

        -- text
        upper({{ json_text('question', 'type') }}) as question_type,
        {{ json_text('question', 'question') }} as question,
        {{ json_text('question', 'aggregate') }} as reported,

        -- numbers
        {{ whole(number_in(json_text('question', 'order'))) }} as question_number,
        {{ number_in(json_text('question', ['aggregate', 'nps'])) }} as reported_nps,
        {{ number_in(json_text('question', ['aggregate', 'mean'])) }} as reported_mean
    from exploded
    where {{ json_text('question', 'question_id') }} is not null

)

{{ one_each('renamed', ['focus_group_id', 'question_id'], 'question_number, question') }}
