{%- set fields = var('ab_variation_fields') -%}

with

told as (

    select {{ explode_rows('variations') }} as variation
    from {{ ref('stg_sendgrid__single_send_details') }}
    -- Only a list is read: its shape is inferred.
    where variations like '[%'

),

worded as (

    select
        {{ json_text('variation', fields.id) }} as variation_id,
        nullif(trim({{ json_text('variation', fields.subject) }}), '') as subject,
        nullif(trim({{ json_text('variation', fields.text) }}), '') as plain_text,
        2 as preference
    from told
    {%- for variation_id, words in var('ab_variation_words').items() %}
    {%- set quoted = "'" ~ words | replace("'", "''") ~ "'" %}
    union all
    select '{{ variation_id }}' as variation_id, {{ quoted }} as subject, {{ quoted }} as plain_text, 1 as preference
    {%- endfor %}

),

ranked as (

    select
        *,
        row_number() over (partition by variation_id order by preference, subject nulls last, plain_text nulls last) as choice
    from worded
    where variation_id is not null

)

select
    variation_id,
    subject,
    plain_text
from ranked
where choice = 1
