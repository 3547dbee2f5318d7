with left_by as (

    select
        unsubscribe_group_id,
        count(distinct email) as address_count
    from {{ ref('stg_sendgrid__group_suppressions') }}
    group by unsubscribe_group_id

)

select
    groups.unsubscribe_group_id,
    groups.unsubscribe_group_name,
    groups.unsubscribe_group_description,
    coalesce(left_by.address_count, 0) as address_count,
    groups.suppressed_count as reported_count,
    groups.is_default
from {{ ref('stg_sendgrid__unsubscribe_groups') }} as groups
left join left_by on groups.unsubscribe_group_id = left_by.unsubscribe_group_id
where groups.gone_at is null
