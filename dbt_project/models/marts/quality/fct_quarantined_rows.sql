{%- set checks = [
    ['wistia', 'viewing sessions', 'percent_viewed out of range', 'sessions',
        'served_percent_viewed is not null and watched_share is null'],
    ['wistia', 'viewing sessions', 'percent_viewed missing', 'sessions', 'served_percent_viewed is null'],
    ['wistia', 'viewing sessions', 'viewer or media missing', 'sessions', 'viewer_id is null or media_id is null'],
    ['klaviyo', 'predictions', 'churn_probability out of range', 'predictions',
        'served_churn_probability is not null and churn_probability is null'],
    ['klaviyo', 'predictions', 'profile missing', 'predictions', 'has_no_profile'],
] -%}

with sessions as (

    select * from {{ ref('stg_wistia__viewing_events') }}

),

predictions as (

    select
        predictions.served_churn_probability,
        predictions.churn_probability,
        profiles.customer_id is null as has_no_profile
    from {{ ref('stg_klaviyo__predictive_analytics') }} as predictions
    left join {{ ref('stg_klaviyo__profiles') }} as profiles on predictions.customer_id = profiles.customer_id

)

{% for vendor, things, reason, table, rule in checks -%}
select
    '{{ vendor }}' as vendor,
    '{{ things }}' as things,
    '{{ reason }}' as reason,
    count(*) filter (where {{ rule }}) as row_count,
    count(*) as total_count
from {{ table }}
{{ 'union all' if not loop.last }}
{% endfor %}
