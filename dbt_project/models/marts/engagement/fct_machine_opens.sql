-- One row per recipient of a message, and per recipient of a week: who opened, and whether only machines did.
with told as (

    select
        customer_id,
        message_kind,
        sent_message_id as message_id,
        metric_role = 'received_email' as is_received,
        is_automatic,
        cast(date_trunc('week', cast(happened_at as date)) as date) as week_from
    from {{ ref('int_message_events') }}
    where metric_role in ('received_email', 'opened_email') and customer_id is not null

),

subjects as (

    select message_kind as subject_kind, message_id as subject_id, customer_id, is_received, is_automatic
    from told
    where message_kind <> 'other'
    union all
    select 'week' as subject_kind, cast(week_from as {{ dbt.type_string() }}) as subject_id, customer_id, is_received, is_automatic
    from told

),

recipients as (

    select
        subject_kind,
        subject_id,
        customer_id,
        count(*) filter (where is_received) as received_count,
        count(*) filter (where not is_received and not is_automatic) as open_count,
        count(*) filter (where not is_received and is_automatic) as machine_open_count
    from subjects
    group by subject_kind, subject_id, customer_id

),

summed as (

    select
        'klaviyo' as vendor,
        subject_kind,
        subject_id,
        count(*) filter (where received_count > 0) as recipient_count,
        cast(sum(open_count) + sum(machine_open_count) as bigint) as open_count,
        cast(sum(machine_open_count) as bigint) as machine_open_count,
        count(*) filter (where open_count + machine_open_count > 0) as opener_count,
        count(*) filter (where machine_open_count > 0 and open_count = 0) as machine_only_opener_count,
        cast(null as bigint) as possible_machine_open_count
    from recipients
    group by subject_kind, subject_id

    union all

    -- SendGrid marks no open. Those in mail programs that load images unread are the most that machines can have made in them.
    select
        'sendgrid' as vendor,
        'week' as subject_kind,
        cast(cast(date_trunc('week', happened_on) as date) as {{ dbt.type_string() }}) as subject_id,
        cast(null as bigint) as recipient_count,
        cast(sum(open_count) as bigint) as open_count,
        cast(null as bigint) as machine_open_count,
        cast(null as bigint) as opener_count,
        cast(null as bigint) as machine_only_opener_count,
        cast(coalesce(sum(case when client in ('{{ var('prefetching_clients') | join("', '") }}') then open_count end), 0) as bigint)
            as possible_machine_open_count
    from {{ ref('fct_opens_by_client_daily') }}
    group by cast(date_trunc('week', happened_on) as date)

),

names as (

    select 'campaign' as subject_kind, campaign_id as subject_id, campaign_name as subject_name from {{ ref('stg_klaviyo__campaigns') }}
    union all
    select 'flow_message' as subject_kind, flow_message_id as subject_id, message_name as subject_name
    from {{ ref('stg_klaviyo__flow_messages') }}

)

select
    summed.vendor,
    summed.subject_kind,
    summed.subject_id,
    names.subject_name,
    summed.recipient_count,
    summed.open_count,
    summed.machine_open_count,
    summed.possible_machine_open_count,
    summed.opener_count,
    summed.machine_only_opener_count,
    {{ share_with_interval('coalesce(summed.machine_open_count, summed.possible_machine_open_count)', 'summed.open_count', 'machine_open_share') }},
    {{ share('summed.opener_count', 'summed.recipient_count') }} as opened_by_any_share,
    {{ share_with_interval('(summed.opener_count - summed.machine_only_opener_count)', 'summed.recipient_count', 'opened_share') }},
    {{ is_small('summed.open_count') }} as is_small_sample
from summed
left join names on summed.subject_kind = names.subject_kind and summed.subject_id = names.subject_id
