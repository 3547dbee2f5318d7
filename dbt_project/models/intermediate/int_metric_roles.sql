-- The account's own mapping of metrics to roles wins over names. A custom metric is a sum of others.
with mapped_ids as (

    select
        mapped_metric,
        metric_id
    from {{ ref('stg_klaviyo__mapped_metrics') }}

    union

    select
        mapped_metric,
        {{ json_text('summed', 'metric_id') }} as metric_id
    from (
        select mapped_metric, {{ explode_rows('metric_groups') }} as summed
        from {{ ref('stg_klaviyo__mapped_metrics') }}
        where metric_id is null
    ) as groups

),

mapped as (

    select
        roles.role as metric_role,
        mapped_ids.metric_id
    from mapped_ids
    join {{ ref('klaviyo_metric_roles') }} as roles on mapped_ids.mapped_metric = roles.mapped_metric
    where mapped_ids.metric_id is not null

),

named as (

    select
        names.role as metric_role,
        metrics.metric_id
    from {{ ref('stg_klaviyo__metrics') }} as metrics
    join {{ ref('klaviyo_metric_names') }} as names on lower(trim(metrics.metric_name)) = lower(names.metric_name)
    where names.role not in (select metric_role from mapped)

),

roles as (

    select *, true as is_mapped from mapped
    union all
    select *, false as is_mapped from named

)

select
    roles.metric_role,
    roles.metric_id,
    metrics.metric_name,
    roles.is_mapped
from roles
left join {{ ref('stg_klaviyo__metrics') }} as metrics on roles.metric_id = metrics.metric_id
