select
    'wistia' as vendor,
    coalesce(
        case when sum(viewer_count) > 0 then
            concat({{ one_or_many('sum(viewer_count)', 'viewer', 'viewers') }}, ', ', {{ counted('max(case when viewer_cluster = \'binge_watchers\' then viewer_count end)') }}, ' of them bingeing')
        end,
        'no viewers yet'
    ) as finding
from {{ ref('agg_viewer_clusters') }}
