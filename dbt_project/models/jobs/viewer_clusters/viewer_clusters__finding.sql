{%- set bingers = "coalesce(max(case when viewer_cluster = 'binge_watchers' then viewer_count end), 0)" -%}

select
    'wistia' as vendor,
    coalesce(
        case when sum(viewer_count) > 0 then concat_ws('',
            case when {{ bingers }} = 0 then 'None' else {{ counted(bingers) }} end, ' of ',
            {{ one_or_many('sum(viewer_count)', 'viewer', 'viewers') }},
            case when {{ bingers }} > 1 then ' are binge watchers' else ' is a binge watcher' end
        )
        end,
        'No viewers yet'
    ) as finding
from {{ ref('agg_viewer_clusters') }}
