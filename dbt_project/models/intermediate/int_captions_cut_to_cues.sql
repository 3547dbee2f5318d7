{%- set times = '([0-9]+):([0-9]+):([0-9]+)[,.]([0-9]+)' -%}
{%- set timing = times ~ ' *--> *' ~ times -%}

with ranked as (

    select
        media_id,
        caption_language,
        is_draft,
        replace(subtitles, chr(13), '') as subtitles,
        row_number() over (
            partition by media_id
            order by is_draft, case when caption_language = '{{ var('caption_language') }}' then 0 else 1 end, caption_language
        ) as choice
    from {{ ref('stg_wistia__captions') }}
    where subtitles is not null

),

-- SRT: blocks between empty lines, each a number, its times and one or more lines of text.
blocks as (

    select
        media_id,
        caption_language,
        is_draft,
        choice = 1 as is_preferred,
        {{ explode_text('subtitles', '[\\n]{2,}') }} as block
    from ranked

),

cues as (

    select
        media_id,
        caption_language,
        is_draft,
        is_preferred,
        trim(replace(regexp_replace(block, '^[^>]*-->[^\n]*', ''), chr(10), ' ')) as caption,
        {% for start, name in [(1, 'started_seconds'), (5, 'ended_seconds')] -%}
        {% for seconds in [3600, 60, 1, 0.001] -%}
        cast(nullif(regexp_extract(block, '{{ timing }}', {{ start + loop.index0 }}), '') as double) * {{ seconds }}
        {{- ' + ' if not loop.last }}
        {% endfor -%}
        as {{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from blocks

)

select
    media_id,
    caption_language,
    row_number() over (
        partition by media_id, caption_language order by started_seconds, ended_seconds, caption
    ) as cue_number,
    caption,
    started_seconds,
    ended_seconds,
    is_draft,
    is_preferred
from cues
where started_seconds is not null
    and caption <> ''
