-- The account's own metrics, and whether Klaviyo was read at all.
with uses as (

    select channel as used_for
    from {{ ref('stg_klaviyo__campaigns') }}
    where sent_at is not null

    union

    select messages.channel as used_for
    from {{ ref('stg_klaviyo__flow_messages') }} as messages
    join {{ ref('stg_klaviyo__flow_actions') }} as actions on messages.flow_action_id = actions.flow_action_id
    join {{ ref('stg_klaviyo__flows') }} as flows on actions.flow_id = flows.flow_id
    where flows.flow_status = 'live'

    union

    select 'shop' as used_for
    from {{ ref('stg_klaviyo__metrics') }}

),

names as (

    select
        role,
        {{ dbt.listagg('metric_name', "', '", 'order by metric_name') }} as known_names
    from {{ ref('klaviyo_metric_names') }}
    group by role

),

found as (

    select
        metric_role,
        count(*) as metric_count,
        count(*) filter (where is_mapped) > 0 as is_mapped
    from {{ ref('int_metric_roles') }}
    group by metric_role

),

judged as (

    select
        roles.role as metric_role,
        roles.said,
        roles.needed_for,
        names.known_names,
        coalesce(found.metric_count, 0) as metric_count,
        coalesce(found.is_mapped, false) as is_mapped,
        coalesce(roles.needed_for in (select used_for from uses), false) as is_needed
    from {{ ref('klaviyo_metric_roles') }} as roles
    left join names on roles.role = names.role
    left join found on roles.role = found.metric_role

)

select
    metric_role,
    said,
    needed_for,
    known_names,
    case when is_needed and metric_count = 0 then
        concat_ws('',
            'klaviyo has no metric of ', said, ' under a known name (', known_names, '), so none are counted. Add the name that the account',
            ' uses to dbt_project/seeds/klaviyo_metric_names.csv, with the role ', metric_role, ', then run make transform'
        )
    end as missing_message,
    metric_count,
    is_mapped,
    is_needed,
    is_needed and metric_count = 0 as is_missing
from judged
