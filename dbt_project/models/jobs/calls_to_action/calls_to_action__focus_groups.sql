{%- set step = var('action_share_step') -%}
{%- set interval = ['actions.action_share_low', 'actions.action_share_high'] -%}

-- WS-3: a study per call to action whose rate is farthest below its median, asked of the viewer clusters of WS-1.
with

ranked_actions as (

    select
        actions.*,
        medias.duration_seconds,
        medias.person_count,
        -- By the upper end, in steps: noise must neither make a call to action the worst nor change which one is.
        row_number() over (
            order by
                {{ in_steps('actions.action_share_high / nullif(actions.median_action_share, 0)', var('analysis_share_step')) }},
                actions.media_id,
                actions.action_type
        ) as action_position
    from {{ ref('fct_media_action_rates') }} as actions
    join {{ ref('fct_media_performance') }} as medias on actions.media_id = medias.media_id
    where actions.is_below_median
        and actions.action_type in ('{{ var('asked_action_types') | join("', '") }}')
        and medias.person_count >= {{ var('smallest_group') }}

),

cluster_list as (

    select {{ sorted_list("concat_ws('', 'viewer-clusters:', viewer_cluster)") }} as persona_keys
    from {{ ref('agg_viewer_clusters') }}
    where person_count >= {{ var('smallest_group') }}

)

select
    concat_ws('', actions.media_id, '_', {{ slug('actions.action_type') }}) as entity,
    concat_ws('', 'Wrong moment: ', coalesce({{ label('actions.action_text') }}, {{ label('actions.action_type') }}), ' in ', {{ label('actions.media_name') }})
        as name,
    {{ facts_with_steps([
        ['media_name', label('actions.media_name')],
        ['action_type', label('actions.action_type')],
        ['action_text', label('actions.action_text')],
        ['placement', 'actions.placement'],
        measure('shown_seconds', 'actions.shown_seconds', var('drop_off_seconds'), told=1),
        measure('duration_seconds', 'actions.duration_seconds', var('drop_off_seconds'), told=1),
        figure('impression_count', 'actions.impression_count', 5),
        measure('action_share', 'actions.action_share', step, interval),
        measure('action_share_low', 'actions.action_share_low', step, interval),
        measure('action_share_high', 'actions.action_share_high', step, interval),
        measure('median_action_share', 'actions.median_action_share', step),
    ]) }},
    actions.person_count,
    to_json(cluster_list.persona_keys) as reference_keys,
    actions.measured_on
from ranked_actions as actions
cross join cluster_list
where actions.action_position <= {{ var('asked_actions') }}
