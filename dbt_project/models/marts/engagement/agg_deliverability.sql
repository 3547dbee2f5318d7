{%- set counts = [
    'sent_count', 'delivered_count', 'bounce_count', 'block_count', 'drop_count', 'spam_report_count', 'unsubscribe_count',
] -%}
{%- set goal, limit = var('spam_share_goal'), var('spam_share_limit') -%}

with days as (

    select
        'sendgrid' as vendor,
        coalesce(names.mailbox_provider, stats.mailbox_provider) as mailbox_provider,
        stats.processed_count as sent_count,
        stats.delivered_count,
        stats.bounce_count,
        stats.block_count,
        stats.drop_count,
        stats.spam_report_count,
        cast(null as bigint) as unsubscribe_count,
        stats.happened_on
    from {{ ref('stg_sendgrid__mailbox_provider_stats') }} as stats
    left join {{ ref('mailbox_providers') }} as names on lower(stats.mailbox_provider) = names.written

    union all

    select
        'klaviyo' as vendor,
        mailbox_provider,
        count(*) filter (where metric_role in ('received_email', 'bounced_email')) as sent_count,
        count(*) filter (where metric_role = 'received_email') as delivered_count,
        count(*) filter (where metric_role = 'bounced_email') as bounce_count,
        cast(null as bigint) as block_count,
        count(*) filter (where metric_role = 'dropped_email') as drop_count,
        count(*) filter (where metric_role = 'marked_email_as_spam') as spam_report_count,
        count(*) filter (where metric_role = 'unsubscribed_from_email') as unsubscribe_count,
        cast(happened_at as date) as happened_on
    from {{ ref('int_message_events') }}
    where metric_role in (
        'received_email', 'bounced_email', 'dropped_email', 'marked_email_as_spam', 'unsubscribed_from_email'
    )
    group by mailbox_provider, cast(happened_at as date)

),

-- A week, and the last engagement_window_days of the vendor; each with its providers and all of them.
periods as (

    select *, 'week' as period, cast(date_trunc('week', happened_on) as date) as period_from
    from days
    union all
    select days.*, 'window' as period, min(days.happened_on) over (partition by days.vendor) as period_from
    from days
    join (
        select vendor, max(happened_on) as last_on from days group by vendor
    ) as lasts on days.vendor = lasts.vendor and {{ in_window('days.happened_on', 'lasts.last_on') }}

),

summed as (

    {% for provider in ['mailbox_provider', "'all'"] -%}
    select
        vendor,
        {{ provider }} as mailbox_provider,
        period,
        {%- for count in counts %}
        cast(sum({{ count }}) as bigint) as {{ count }},
        {%- endfor %}
        count(distinct happened_on) as day_count,
        period_from
    from periods
    group by vendor, {{ 'mailbox_provider, ' if loop.first }}period, period_from
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

measured as (

    select
        *,
        {{ share_with_interval('delivered_count', 'sent_count', 'delivered_share') }},
        {{ share_with_interval('bounce_count', 'sent_count', 'bounce_share') }},
        {{ share_with_interval('spam_report_count', 'delivered_count', 'spam_share') }},
        {{ is_small('delivered_count') }} as is_small_sample
    from summed

)

select
    vendor,
    mailbox_provider,
    period,
    case
        when is_small_sample or spam_share_low is null then 'small sample'
        when spam_share_low >= {{ limit }} then 'surely above the limit'
        when spam_share_low >= {{ goal }} then 'surely above the goal'
        when spam_share_high < {{ goal }} then 'surely below the goal'
        when spam_share_high < {{ limit }} then 'surely below the limit'
        else 'undecided'
    end as spam_outcome,
    {{ counts | join(',\n    ') }},
    delivered_share,
    delivered_share_low,
    delivered_share_high,
    bounce_share,
    bounce_share_low,
    bounce_share_high,
    spam_share,
    spam_share_low,
    spam_share_high,
    day_count,
    is_small_sample,
    period_from
from measured
