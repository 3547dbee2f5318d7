with labelled as (

    select distinct
        single_send_id,
        nullif(trim(replace(cast(label as {{ dbt.type_string() }}), '"', '')), '') as category
    from (
        select single_send_id, {{ explode_rows('categories') }} as label
        from {{ ref('stg_sendgrid__single_sends') }}
        where categories is not null
    ) as exploded

),

sends as (

    select single_send_id, delivered_count, unique_open_count, unique_click_count, unsubscribe_count, sent_at
    from {{ ref('fct_single_sends') }}
    where delivered_count > 0

),

account as (

    select
        cast(coalesce(sum(delivered_count), 0) as bigint) as delivered_count,
        cast(coalesce(sum(unique_open_count), 0) as bigint) as unique_open_count,
        cast(coalesce(sum(unique_click_count), 0) as bigint) as unique_click_count
    from sends

),

summed as (

    select
        labelled.category,
        count(*) as single_send_count,
        cast(sum(sends.delivered_count) as bigint) as delivered_count,
        cast(sum(sends.unique_open_count) as bigint) as unique_open_count,
        cast(sum(sends.unique_click_count) as bigint) as unique_click_count,
        cast(sum(sends.unsubscribe_count) as bigint) as unsubscribe_count,
        min(sends.sent_at) as first_sent_at,
        max(sends.sent_at) as last_sent_at
    from labelled
    join sends on labelled.single_send_id = sends.single_send_id
    where labelled.category is not null
    group by labelled.category

),

compared as (

    select
        summed.*,
        account.delivered_count - summed.delivered_count as other_delivered_count,
        account.unique_open_count - summed.unique_open_count as other_unique_open_count,
        account.unique_click_count - summed.unique_click_count as other_unique_click_count
    from summed
    cross join account

),

tested as (

    select
        *,
        not ({{ is_small('delivered_count') }}) and not ({{ is_small('other_delivered_count') }}) as is_tested,
        {{ two_proportion_z('unique_click_count', 'delivered_count', 'other_unique_click_count', 'other_delivered_count') }} as z_score
    from compared

),

scored as (

    select *, {{ two_sided_p('z_score') }} as p_value
    from tested

),

adjusted as (

    {{ with_adjusted_p('scored', [('', 'is_tested')]) }}

)

select
    category,
    case
        when not is_tested then 'small sample'
        when adjusted_p_value < {{ var('false_discovery_below') }} and z_score > 0 then 'above the others'
        when adjusted_p_value < {{ var('false_discovery_below') }} then 'below the others'
        else 'no difference'
    end as click_outcome,
    single_send_count,
    delivered_count,
    unique_open_count,
    unique_click_count,
    unsubscribe_count,
    {{ share_with_interval('unique_open_count', 'delivered_count', 'unique_open_share') }},
    {{ share_with_interval('unique_click_count', 'delivered_count', 'unique_click_share') }},
    {{ share_with_interval('unsubscribe_count', 'delivered_count', 'unsubscribe_share') }},
    {{ share('other_unique_open_count', 'other_delivered_count') }} as other_unique_open_share,
    {{ share('other_unique_click_count', 'other_delivered_count') }} as other_unique_click_share,
    case when is_tested then p_value end as p_value,
    adjusted_p_value,
    {{ is_small('delivered_count') }} as is_small_sample,
    first_sent_at,
    last_sent_at
from adjusted
