{%- set step = var('analysis_share_step') -%}
{%- set told = var('persona_share_step') -%}

-- Where the most played medias lose their viewers, one question per media.
with

drop_off_lists as (

    select
        media_id,
        {{ sorted_list(record([
            ['lost_share', in_steps(
                '(' ~ in_steps('retention_before_share', told) ~ ' - ' ~ in_steps('retention_after_share', told) ~ ')', told
            )],
            ['from_seconds', in_steps('from_seconds', 1)],
            ['to_seconds', in_steps('to_seconds', 1)],
            ['retention_before', in_steps('retention_before_share', told)],
            ['retention_after', in_steps('retention_after_share', told)],
            ['caption', 'caption_excerpt'],
        ])) }} as drop_offs,
        max(measured_on) as measured_on
    from {{ ref('fct_media_drop_offs') }}
    where not is_small_sample
    group by media_id

),

lossy_medias as (

    select
        medias.*,
        found.drop_offs,
        found.measured_on as curve_measured_on,
        row_number() over (order by medias.play_count desc, medias.media_id) as media_position
    from drop_off_lists as found
    join {{ ref('fct_media_performance') }} as medias on found.media_id = medias.media_id
    where medias.person_count >= {{ var('smallest_group') }}

)

select
    media_id as entity,
    concat_ws('', 'Drop-offs: ', {{ label('media_name') }}) as name,
    {{ facts_with_steps([
        ['media_name', label('media_name')],
        measure('duration_seconds', 'duration_seconds', var('drop_off_seconds'), told=1),
        figure('play_count', 'play_count', 5),
        measure('mean_watched_share', 'mean_watched_share', step, told=told),
        ['drop_off_share_above', var('drop_off_share_above')],
        ['drop_off_seconds', var('drop_off_seconds')],
        ['drop_offs', 'drop_offs', {
            '[].lost_share': step,
            '[].from_seconds': var('drop_off_seconds'),
            '[].to_seconds': var('drop_off_seconds'),
            '[].retention_before': step,
            '[].retention_after': step,
        }],
    ]) }},
    person_count,
    {{ no_references() }} as reference_keys,
    curve_measured_on as measured_on
from lossy_medias
where media_position <= {{ var('drop_off_analysis_medias') }}
