{%- set measures = {'click': 'clicked', 'conversion': 'converted'} -%}

with candidates as (

    select
        mails.campaign_id as email_campaign_id,
        texts.campaign_id as sms_campaign_id,
        mails.campaign_stem,
        mails.currency,
        mails.campaign_name as email_campaign_name,
        texts.campaign_name as sms_campaign_name,
        mails.received_count as email_received_count,
        texts.received_count as sms_received_count,
        mails.clicked_count as email_clicked_count,
        texts.clicked_count as sms_clicked_count,
        mails.converted_count as email_converted_count,
        texts.converted_count as sms_converted_count,
        mails.revenue as email_revenue,
        texts.revenue as sms_revenue,
        mails.sent_at as email_sent_at,
        texts.sent_at as sms_sent_at,
        abs({{ dbt.datediff('mails.sent_at', 'texts.sent_at', 'minute') }}) / cast(60 as double) as hours_apart
    from {{ ref('fct_campaigns') }} as mails
    join {{ ref('fct_campaigns') }} as texts
        on mails.campaign_stem = texts.campaign_stem
        and mails.channel = 'email'
        and texts.channel = 'sms'

),

-- A campaign sent twice under one name is matched with the nearest of the other channel, and is in one pair at most.
ranked as (

    select
        *,
        row_number() over (partition by email_campaign_id order by hours_apart, sms_campaign_id) as nearest_text,
        row_number() over (partition by sms_campaign_id order by hours_apart, email_campaign_id) as nearest_mail
    from candidates
    where hours_apart <= {{ var('channel_pair_hours') }}

),

tested as (

    select
        *,
        {% for measure, did in measures.items() -%}
        {{ share('email_' ~ did ~ '_count', 'email_received_count') }} as email_{{ did }}_share,
        {{ share('sms_' ~ did ~ '_count', 'sms_received_count') }} as sms_{{ did }}_share,
        {{ two_proportion_z(
            'sms_' ~ did ~ '_count', 'sms_received_count', 'email_' ~ did ~ '_count', 'email_received_count'
        ) }} as {{ measure }}_z_score,
        {% endfor -%}
        least(email_received_count, sms_received_count) >= {{ var('channel_received_from') }} as is_decidable
    from ranked
    where nearest_text = 1 and nearest_mail = 1

),

chances as (

    select
        *,
        {% for measure in measures -%}
        {{ two_sided_p(measure ~ '_z_score') }} as {{ measure }}_p_value{{ ',' if not loop.last }}
        {% endfor %}
    from tested

),

judged as (

    {{ with_adjusted_p('chances', [['click_', 'is_decidable'], ['conversion_', 'is_decidable']]) }}

)

select
    email_campaign_id,
    sms_campaign_id,
    campaign_stem,
    email_campaign_name,
    sms_campaign_name,
    currency,
    {% for measure in measures -%}
    case
        when not is_decidable then 'undecided'
        when {{ measure }}_adjusted_p_value >= {{ var('false_discovery_below') }} then 'tie'
        when {{ measure }}_z_score > 0 then 'sms'
        else 'email'
    end as {{ measure }}_outcome,
    {% endfor -%}
    email_received_count,
    sms_received_count,
    {% for measure, did in measures.items() -%}
    {% for channel in ['email', 'sms'] -%}
    {%- set part, whole = channel ~ '_' ~ did ~ '_count', channel ~ '_received_count' -%}
    {{ part }},
    {{ channel }}_{{ did }}_share,
    {{ interval(part, whole, channel ~ '_' ~ did ~ '_share') }},
    {% endfor -%}
    {{ measure }}_z_score,
    {{ measure }}_p_value,
    {{ measure }}_adjusted_p_value,
    {% endfor -%}
    email_revenue,
    sms_revenue,
    cast(hours_apart as double) as hours_apart,
    not is_decidable as is_small_sample,
    email_sent_at,
    sms_sent_at
from judged
