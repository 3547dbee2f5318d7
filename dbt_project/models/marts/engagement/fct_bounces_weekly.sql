{%- set classes = var('bounce_classes') -%}

with listed as (

    select
        case suppression_list when 'bounces' then 'bounce' when 'blocks' then 'block' when 'spam_reports' then 'spam_report' end as bounce_kind,
        -- 5.1.1 of 4.7.0 and its like; without its first digit, which says whether it lasts.
        {{ matched('smtp_status', '^[245][.]([0-9]+[.][0-9]+)') }} as detail,
        {{ matched('smtp_status', '^([245])[.]') }} as severity,
        email,
        listed_at
    from {{ ref('stg_sendgrid__suppressions') }}
    where suppression_list in ('bounces', 'blocks', 'spam_reports')
    union all
    select 'invalid_email' as bounce_kind, '1.3' as detail, '5' as severity, email, listed_at
    from {{ ref('stg_sendgrid__invalid_emails') }}

),

told as (

    select
        'sendgrid' as vendor,
        listed.bounce_kind,
        case
            when listed.bounce_kind = 'spam_report' then 'spam report'
            {%- for rule in classes %}
            when {% for status in rule.statuses %}listed.detail like '{{ status }}'{{ ' or ' if not loop.last }}{% endfor %} then '{{ rule.bounce_class }}'
            {%- endfor %}
            else 'not told'
        end as bounce_class,
        case when listed.email like '%@%' then coalesce(domains.mailbox_provider, 'Other') else 'Other' end as mailbox_provider,
        case listed.severity when '5' then true when '4' then false end as is_permanent,
        listed.listed_at as happened_at
    from listed
    left join {{ ref('int_mailbox_domains') }} as domains
        on {{ dbt.split_part('listed.email', "'@'", 2) }} = domains.email_domain

    union all

    select
        'klaviyo' as vendor,
        case metric_role
            when 'bounced_email' then 'bounce' when 'dropped_email' then 'drop' else 'spam_report'
        end as bounce_kind,
        case
            when metric_role = 'marked_email_as_spam' then 'spam report'
            when metric_role = 'bounced_email' then coalesce(bounce_type, 'not told')
            else 'not told'
        end as bounce_class,
        mailbox_provider,
        case bounce_type when 'hard' then true when 'soft' then false end as is_permanent,
        happened_at
    from {{ ref('int_message_events') }}
    where metric_role in ('bounced_email', 'dropped_email', 'marked_email_as_spam')

),

weeks as (

    select
        vendor,
        bounce_kind,
        bounce_class,
        mailbox_provider,
        count(*) as bounce_count,
        count(*) filter (where is_permanent) as permanent_count,
        cast(date_trunc('week', cast(happened_at as date)) as date) as week_from
    from told
    group by vendor, bounce_kind, bounce_class, mailbox_provider, cast(date_trunc('week', cast(happened_at as date)) as date)

)

select
    weeks.vendor,
    weeks.bounce_kind,
    weeks.bounce_class,
    weeks.mailbox_provider,
    weeks.bounce_count,
    weeks.permanent_count,
    sent.sent_count,
    {{ share_with_interval('weeks.bounce_count', 'sent.sent_count', 'bounce_share') }},
    {{ is_small('sent.sent_count') }} as is_small_sample,
    weeks.week_from
from weeks
left join {{ ref('agg_deliverability') }} as sent
    on weeks.vendor = sent.vendor
    and weeks.mailbox_provider = sent.mailbox_provider
    and sent.period = 'week'
    and weeks.week_from = sent.period_from
