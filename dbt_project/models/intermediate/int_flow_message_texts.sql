{%- set name, address = json_text('link', 'name'), json_text('link', 'address') -%}

with words as (

    select * from {{ ref('stg_klaviyo__flow_message_words') }}

),

parts as (

    select flow_message_id, {{ explode_rows('parts') }} as part
    from words

),

part_lists as (

    select flow_message_id, {{ sorted_list(record([['part', json_text('part', 'part')]])) }} as message_parts
    from parts
    group by flow_message_id

),

links as (

    select flow_message_id, {{ explode_rows('links') }} as link
    from words

),

link_lists as (

    select flow_message_id, {{ dbt.listagg("concat_ws('', " ~ name ~ ", ' ', " ~ address ~ ")", "', '", 'order by ' ~ name) }} as links
    from links
    group by flow_message_id

)

select
    words.flow_message_id,
    templates.editor_type,
    words.message_text,
    link_lists.links,
    to_json(part_lists.message_parts) as message_parts,
    templates.updated_at
from words
left join {{ ref('stg_klaviyo__flow_message_templates') }} as templates on words.flow_message_id = templates.flow_message_id
left join part_lists on words.flow_message_id = part_lists.flow_message_id
left join link_lists on words.flow_message_id = link_lists.flow_message_id
