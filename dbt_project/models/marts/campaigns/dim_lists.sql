with members as (

    select
        members.list_id,
        members.joined_at,
        coalesce(profiles.can_receive_email, false) as can_receive_email,
        coalesce(profiles.can_receive_sms, false) as can_receive_sms
    from {{ ref('stg_klaviyo__list_members') }} as members
    left join {{ ref('stg_klaviyo__profiles') }} as profiles on members.customer_id = profiles.customer_id

),

counted as (

    select
        list_id,
        count(*) as member_count,
        count(*) filter (where can_receive_email) as email_reachable_count,
        count(*) filter (where can_receive_sms) as sms_reachable_count,
        count(*) filter (where not can_receive_email and not can_receive_sms) as unreachable_count,
        max(joined_at) as last_joined_at
    from members
    group by list_id

)

select
    lists.list_id,
    lists.list_name,
    coalesce(counted.member_count, 0) as member_count,
    coalesce(counted.email_reachable_count, 0) as email_reachable_count,
    coalesce(counted.sms_reachable_count, 0) as sms_reachable_count,
    coalesce(counted.unreachable_count, 0) as unreachable_count,
    {{ share('counted.email_reachable_count', 'counted.member_count') }} as email_reachable_share,
    {{ share('counted.sms_reachable_count', 'counted.member_count') }} as sms_reachable_share,
    lists.is_double_opt_in,
    coalesce(counted.member_count, 0) < {{ var('smallest_group') }} as is_small_group,
    lists.created_at,
    lists.updated_at,
    counted.last_joined_at
from {{ ref('stg_klaviyo__lists') }} as lists
left join counted on lists.list_id = counted.list_id
