{#- Numbers that both SendGrid and this project count. -#}
{%- set counts = {'requested': 'request_count', 'received': 'delivered_count', 'opened': 'open_count', 'clicked': 'click_count'} -%}

with days as (

    select
        single_send_id,
        {%- for column in counts.values() %}
        coalesce(sum({{ column }}), 0) as {{ column }},
        {%- endfor %}
        max(happened_on) as last_on
    from {{ ref('stg_sendgrid__single_send_daily_stats') }}
    group by single_send_id

),

loaded as (

    select
        min(days.happened_on) as first_on,
        (select max(happened_on) from {{ ref('stg_sendgrid__global_stats') }}) as last_on
    from {{ ref('stg_sendgrid__single_send_daily_stats') }} as days

),

sends as (

    select
        sends.single_send_id,
        sends.single_send_name,
        {%- for measure, column in counts.items() %}
        coalesce(days.{{ column }}, 0) as {{ measure }}_ours,
        totals.{{ column }} as {{ measure }}_theirs,
        {%- endfor %}
        case
            when loaded.first_on is null then 'no days of single sends are loaded'
            when cast(sends.sent_at as date) < loaded.first_on then 'it was sent before the first day that is loaded'
        end as reason,
        -- Days are read for this long: later opens are only in the total.
        coalesce({{ dbt.datediff('cast(sends.sent_at as date)', 'loaded.last_on', 'day') }} >= {{ var('single_send_days') }}, true) as is_over,
        loaded.last_on as measured_on
    from {{ ref('stg_sendgrid__single_sends') }} as sends
    join {{ ref('stg_sendgrid__single_send_stats') }} as totals
        on sends.single_send_id = totals.single_send_id
        and totals.ab_phase = 'all' and totals.ab_variation = 'all' and totals.aggregation = 'total'
    cross join loaded
    left join days on sends.single_send_id = days.single_send_id
    where sends.sent_at is not null and sends.gone_at is null

),

counts as (

    select
        contact_count,
        measured_on,
        row_number() over (order by measured_on desc) as recency
    from {{ ref('stg_sendgrid__contact_counts') }}

),

left_by as (

    select
        unsubscribe_group_id,
        count(distinct email) as address_count
    from {{ ref('stg_sendgrid__group_suppressions') }}
    group by unsubscribe_group_id

),

told as (

    {% for measure in counts -%}
    select
        'single_send' as subject_kind,
        single_send_id as subject_id,
        single_send_name as subject_name,
        '{{ measure }}' as measure,
        'since it was sent' as period,
        {% if measure in ['opened', 'clicked'] -%}
        coalesce(reason, case when is_over then 'its days were read for {{ var('single_send_days') }} days only' end) as reason,
        {%- else -%}
        reason,
        {%- endif %}
        {{ measure }}_ours as ours,
        {{ measure }}_theirs as theirs,
        measured_on
    from sends

    union all

    {% endfor -%}
    select
        'account', 'account', null, 'contacts', 'now',
        case when counts.contact_count is null then 'SendGrid''s own count is not loaded' end,
        loaded.contact_count, counts.contact_count, counts.measured_on
    from (select count(*) as contact_count from {{ ref('stg_sendgrid__contacts') }}) as loaded
    left join counts on counts.recency = 1
    where loaded.contact_count > 0 or counts.contact_count > 0

    union all

    {% for group in ['list', 'segment'] -%}
    -- The export does not say which contacts are on it.
    select
        '{{ group }}', contact_{{ group }}_id, contact_{{ group }}_name, 'members', 'now',
        'the export of contacts names no lists and segments', null, contact_count, null
    from {{ ref('stg_sendgrid__contact_' ~ group ~ 's') }}
    where gone_at is null

    union all

    {% endfor -%}
    select
        'unsubscribe_group', cast(groups.unsubscribe_group_id as {{ dbt.type_string() }}), groups.unsubscribe_group_name, 'suppressed', 'now',
        null, coalesce(left_by.address_count, 0), groups.suppressed_count, null
    from {{ ref('stg_sendgrid__unsubscribe_groups') }} as groups
    left join left_by on groups.unsubscribe_group_id = left_by.unsubscribe_group_id
    where groups.gone_at is null

)

{{ numbers_compared('sendgrid') }}
