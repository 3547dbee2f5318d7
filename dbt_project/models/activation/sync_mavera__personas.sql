{%- set step = var('persona_share_step') -%}

with

-- SG-1: a persona per group of device classes whose share of the account's opens is large enough.
account as (

    select
        {{ sorted_list(listed('client', 'client', step)) }} as clients,
        {{ sorted_list(listed('country', 'country', step)) }} as countries
    from {{ ref('engagement_shares') }}

),

devices as (

    {% for persona, classes in var('device_personas').items() -%}
    select
        '{{ persona }}' as device_persona,
        {{ text_list(classes) }} as device_classes,
        {{ sorted_list(
            "case when breakdown = 'device' and label in ('" ~ classes | join("', '") ~ "') then "
            ~ record([['share', in_steps('share', step)], ['device', 'label']]) ~ " end"
        ) }} as devices
    from {{ ref('engagement_shares') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

device_geography as (

    select
        'device-geography' as job,
        segments.device_persona as entity,
        'E-mail readers' as title,
        {{ json_build([
            ['device_persona', 'segments.device_persona'],
            ['device_classes', 'devices.device_classes'],
            ['window_days', var('engagement_window_days')],
            ['unique_opens', two_digits('segments.summed_daily_unique_open_count')],
            ['unique_opens_all', two_digits('segments.total_count')],
            ['share_of_opens', in_steps('segments.share', step)],
            ['share_low', in_steps('segments.share_low', step)],
            ['share_high', in_steps('segments.share_high', step)],
            ['devices', 'devices.devices'],
            ['clients', 'account.clients'],
            ['countries', 'account.countries'],
            ['open_rate', in_steps('rates.unique_open_share', 0.01)],
            ['click_rate', in_steps('rates.unique_click_share', 0.01)],
        ]) }} as facts,
        segments.busiest_day_open_count as person_count,
        segments.measured_to as measured_on
    from {{ ref('device_segments') }} as segments
    join devices on segments.device_persona = devices.device_persona
    cross join account
    cross join {{ ref('engagement_rates') }} as rates
    where segments.is_persona

),

-- WS-1: a persona per cluster that has viewers.
clusters as (

    select * from {{ ref('viewer_clusters') }} where viewer_count > 0

),

countries as (

    select
        viewer_cluster,
        country,
        {{ share('count(*)', 'sum(count(*)) over (partition by viewer_cluster)') }} as share
    from {{ ref('dim_viewers') }}
    where country is not null
    group by viewer_cluster, country

),

country_lists as (

    select
        clusters.viewer_cluster,
        {{ sorted_list(
            "case when countries.share >= " ~ var('listed_from_share') ~ " then "
            ~ record([['share', in_steps('countries.share', step)], ['country', 'countries.country']]) ~ " end"
        ) }} as countries
    from clusters
    left join countries on clusters.viewer_cluster = countries.viewer_cluster
    group by clusters.viewer_cluster

),

-- By the share as it leaves: among medias that are as good as equal, noise must not decide which are named.
ranked_medias as (

    select
        *,
        row_number() over (
            partition by viewer_cluster
            order by {{ in_steps('viewer_share', step) }} desc, media_id
        ) as position_in_cluster
    from {{ ref('viewer_cluster_medias') }}
    where viewer_share >= {{ var('listed_from_share') }}

),

media_lists as (

    select
        clusters.viewer_cluster,
        {{ sorted_list(
            "case when medias.position_in_cluster <= " ~ var('listed_persona_medias') ~ " then "
            ~ record([
                ['share', in_steps('medias.viewer_share', step)],
                ['media_name', label('medias.media_name')],
            ]) ~ " end"
        ) }} as medias
    from clusters
    left join ranked_medias as medias on clusters.viewer_cluster = medias.viewer_cluster
    group by clusters.viewer_cluster

),

viewer_clusters as (

    select
        'viewer-clusters' as job,
        clusters.viewer_cluster as entity,
        'Video viewers' as title,
        {{ json_build([
            ['viewer_cluster', 'clusters.viewer_cluster'],
            ['rule', record([
                ['media_count_from', 'clusters.media_count_from'],
                ['media_count_to', 'clusters.media_count_to'],
                ['watched_share_from', 'clusters.watched_share_from'],
                ['watched_share_below', 'clusters.watched_share_below'],
            ])],
            ['viewer_count', two_digits('clusters.viewer_count')],
            ['share_of_viewers', in_steps('clusters.viewer_share', step)],
            ['mean_media_count', in_steps('clusters.mean_media_count', 0.1)],
            ['mean_watched_share', in_steps('clusters.mean_watched_share', step)],
            ['mean_session_count', in_steps('clusters.mean_session_count', 0.1)],
            ['identified_share', in_steps('clusters.identified_share', step)],
            ['mobile_share', in_steps('clusters.mobile_share', step)],
            ['countries', 'country_lists.countries'],
            ['medias', 'media_lists.medias'],
        ]) }} as facts,
        clusters.person_count,
        cast(clusters.last_viewed_at as date) as measured_on
    from clusters
    join country_lists on clusters.viewer_cluster = country_lists.viewer_cluster
    join media_lists on clusters.viewer_cluster = media_lists.viewer_cluster

),

-- KL-1: a persona per tier that has customers; those without a prediction are a number in each, not a tier.
tiers as (

    select * from {{ ref('clv_tiers') }} where clv_tier <> 'no_prediction' and customer_count > 0

),

unpredicted as (

    select customer_count from {{ ref('clv_tiers') }} where clv_tier = 'no_prediction'

),

customer_countries as (

    select
        clv_tier,
        country,
        {{ share('count(*)', 'sum(count(*)) over (partition by clv_tier)') }} as share
    from {{ ref('dim_customers') }}
    where country is not null
    group by clv_tier, country

),

customer_country_lists as (

    select
        tiers.clv_tier,
        {{ sorted_list(
            "case when countries.share >= " ~ var('listed_from_share') ~ " then "
            ~ record([['share', in_steps('countries.share', step)], ['country', label('countries.country')]]) ~ " end"
        ) }} as countries
    from tiers
    left join customer_countries as countries on tiers.clv_tier = countries.clv_tier
    group by tiers.clv_tier

),

clv_tiers as (

    select
        'clv-tiers' as job,
        tiers.clv_tier as entity,
        'Customers by predicted value' as title,
        {{ json_build([
            ['clv_tier', 'tiers.clv_tier'],
            ['tier_from_share', 'tiers.from_share'],
            ['tier_to_share', 'tiers.to_share'],
            ['customer_count', two_digits('tiers.customer_count')],
            ['share_of_predicted_customers', in_steps('tiers.predicted_customer_share', step)],
            ['share_of_predicted_value', in_steps('tiers.predicted_value_share', step)],
            ['mean_predicted_clv_usd', two_digits('tiers.mean_predicted_clv_usd')],
            ['lowest_predicted_clv_usd', two_digits('tiers.low_predicted_clv_usd')],
            ['highest_predicted_clv_usd', two_digits('tiers.high_predicted_clv_usd')],
            ['mean_historic_clv_usd', two_digits('tiers.mean_historic_clv_usd')],
            ['mean_average_order_value_usd', two_digits('tiers.mean_average_order_value_usd')],
            ['mean_order_count', in_steps('tiers.mean_order_count', 0.1)],
            ['mean_days_between_orders', two_digits('tiers.mean_days_between_orders')],
            ['mean_churn_probability', in_steps('tiers.mean_churn_probability', step)],
            ['churn_shares', record([
                ['low', in_steps('tiers.low_churn_share', step)],
                ['medium', in_steps('tiers.medium_churn_share', step)],
                ['high', in_steps('tiers.high_churn_share', step)],
            ])],
            ['countries', 'customer_country_lists.countries'],
            ['email_reachable_share', in_steps('tiers.email_reachable_share', step)],
            ['sms_reachable_share', in_steps('tiers.sms_reachable_share', step)],
            ['customers_without_prediction', two_digits('unpredicted.customer_count')],
        ]) }} as facts,
        tiers.customer_count as person_count,
        tiers.measured_on
    from tiers
    join customer_country_lists on tiers.clv_tier = customer_country_lists.clv_tier
    cross join unpredicted

),

-- SG-3: a persona per role and industry, the largest groups only; small ones are not even named.
contact_groups as (

    select
        'contact-groups' as job,
        contact_group as entity,
        'Contacts' as title,
        {{ json_build([
            ['role', 'role'],
            ['industry', 'industry'],
            ['contact_count', two_digits('contact_count')],
            ['grouped_contact_count', two_digits('grouped_contact_count')],
            ['ungrouped_contact_count', two_digits('(total_contact_count - grouped_contact_count)')],
            ['share_of_contacts', in_steps('contact_share', step)],
            ['share_low', in_steps('contact_share_low', step)],
            ['share_high', in_steps('contact_share_high', step)],
            ['share_of_role', in_steps('share_of_role', step)],
            ['share_of_industry', in_steps('share_of_industry', step)],
            ['viewer_share', in_steps('viewer_share', step)],
            ['customer_share', in_steps('customer_share', step)],
        ]) }} as facts,
        contact_count as person_count,
        cast(last_updated_at as date) as measured_on
    from {{ ref('contact_groups') }}
    where is_selected

),

records as (

    select * from device_geography
    union all
    select * from viewer_clusters
    union all
    select * from clv_tiers
    union all
    select * from contact_groups

)

select
    concat(job, ':', entity) as record_key,
    job,
    job as template,
    concat(title, ': ', replace(replace(replace(entity, '_', ' '), '-', ' '), '/', ', ')) as name,
    facts,
    person_count,
    to_json({{ text_list([]) }}) as reference_keys,
    measured_on
from records
