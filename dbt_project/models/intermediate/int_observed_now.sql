{#- What a tier and a cluster depend on besides people: a change of it moves people who did nothing. -#}
{%- set tier_vars = ['top_tier_to_share', 'middle_tier_to_share', 'tier_measurements_to_move', 'tier_measurements_kept'] -%}
{%- set tier_rule = namespace(text='') -%}
{%- for name in tier_vars -%}{%- set tier_rule.text = tier_rule.text ~ ' ' ~ var(name) -%}{%- endfor -%}

select
    'segment' as kind,
    customer_id as subject_id,
    segment_id as dimension_id,
    'member' as value,
    'vendor' as rule,
    joined_at as happened_at
from {{ ref('stg_klaviyo__segment_members') }}
union all
select
    'list' as kind,
    customer_id as subject_id,
    list_id as dimension_id,
    'member' as value,
    'vendor' as rule,
    joined_at as happened_at
from {{ ref('stg_klaviyo__list_members') }}
union all
select
    'tier' as kind,
    customer_id as subject_id,
    'all' as dimension_id,
    clv_tier as value,
    '{{ local_md5(tier_rule.text)[:8] }}' as rule,
    {{ utc('null') }} as happened_at
from {{ ref('int_customers_tiered') }}
union all
select
    'cluster' as kind,
    viewer_id as subject_id,
    'all' as dimension_id,
    viewer_cluster as value,
    '{{ local_md5(var('viewer_cluster_rules') | string ~ var('cluster_days_to_move'))[:8] }}' as rule,
    {{ utc('null') }} as happened_at
from {{ ref('int_viewers_clustered') }}
where viewer_cluster is not null
union all
select
    'consent' as kind,
    customer_id as subject_id,
    'email' as dimension_id,
    case when email_suppressions is null then lower(email_consent) else 'suppressed' end as value,
    'vendor' as rule,
    email_consented_at as happened_at
from {{ ref('stg_klaviyo__profiles') }}
where email_consent is not null or email_suppressions is not null
union all
select
    'consent' as kind,
    customer_id as subject_id,
    'sms' as dimension_id,
    lower(sms_consent) as value,
    'vendor' as rule,
    sms_consented_at as happened_at
from {{ ref('stg_klaviyo__profiles') }}
where sms_consent is not null
