with suppressions as (

    select customer_id, {{ explode_rows('email_list_suppressions') }} as suppression
    from {{ ref('stg_klaviyo__profiles') }}
    where email_list_suppressions like '[%'

),

-- A list's own suppression stops mail to that list, and to no other.
suppressed as (

    select distinct customer_id, {{ json_text('suppression', 'list_id') }} as list_id from suppressions

),

members as (

    select
        members.list_id,
        members.joined_at,
        coalesce(customers.may_be_mailed, false) and suppressed.list_id is null as may_be_mailed,
        coalesce(customers.may_be_texted, false) as may_be_texted
    from {{ ref('stg_klaviyo__list_members') }} as members
    left join {{ ref('dim_customers') }} as customers on members.customer_id = customers.customer_id
    left join suppressed on members.customer_id = suppressed.customer_id and members.list_id = suppressed.list_id

),

counted as (

    select
        list_id,
        count(*) as member_count,
        count(*) filter (where may_be_mailed) as email_reachable_count,
        count(*) filter (where may_be_texted) as sms_reachable_count,
        count(*) filter (where not may_be_mailed and not may_be_texted) as unreachable_count,
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
where lists.gone_at is null
