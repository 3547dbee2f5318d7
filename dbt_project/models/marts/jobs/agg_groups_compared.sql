{#- By job, the CTE with a row per person and the groups to compare, and its measures: the fact's name with its column. -#}
{%- set measured = {
    'viewer-clusters': ['viewers', {
        'mean_media_count': 'media_count',
        'mean_session_count': 'session_count',
        'mean_watched_share': 'watched_share',
        'identified_share': 'is_identified',
        'mobile_share': 'is_mobile',
    }],
    'contact-groups': ['contacts', {
        'viewer_share': 'is_viewer',
        'customer_share': 'is_customer',
        'mean_media_count': 'media_count',
        'mean_order_count': 'order_count',
        'top_tier_share': 'is_in_top_tier',
        'email_reachable_share': 'may_be_mailed',
    }],
    'clv-tiers': ['customers', {
        'mean_predicted_clv': 'predicted_clv',
        'mean_historic_clv': 'historic_clv',
        'mean_average_order_value': 'average_order_value',
        'mean_order_count': 'order_count',
        'mean_days_between_orders': 'days_between_orders',
        'mean_churn_probability': 'churn_probability',
        'overdue_share': 'is_overdue',
        'viewer_share': 'is_viewer',
        'email_reachable_share': 'may_be_mailed',
        'sms_reachable_share': 'may_be_texted',
    }],
} -%}
{%- set shares = [
    'identified_share', 'mobile_share', 'viewer_share', 'customer_share', 'top_tier_share', 'email_reachable_share', 'overdue_share',
    'sms_reachable_share',
] -%}
{#- The groups whose reading habits are compared: the job, the kind of group in agg_reading_habits. -#}
{%- set read = {'viewer-clusters': 'viewers', 'contact-groups': 'role', 'clv-tiers': 'tier'} -%}
{#- Groups of readers by device, each with the class of its devices. Webmail may be read on either. -#}
{%- set device_classes = {} -%}
{%- for persona, labels in var('device_personas').items() -%}
    {%- for device_class, its in var('sendgrid_device_classes').items() if labels | reject('in', its) | list | length == 0 -%}
        {%- do device_classes.update({persona: device_class}) -%}
    {%- endfor -%}
{%- endfor -%}

with vendors as (

    {{ people_read() }}

),

viewers as (

    select
        viewer_id,
        viewer_cluster as entity,
        country,
        media_count,
        session_count,
        watched_share,
        case when is_identified then 1 else 0 end as is_identified,
        case when is_mobile then 1 when not is_mobile then 0 end as is_mobile
    from {{ ref('dim_viewers') }}

),

-- One person may use several browsers, and have several profiles.
watched as (

    select person_id, max(media_count) as media_count
    from {{ ref('dim_viewers') }}
    where person_id is not null
    group by person_id

),

bought as (

    select
        person_id,
        max(historic_order_count) as order_count,
        max(case clv_tier when 'top' then 1 when 'no_prediction' then null else 0 end) as is_in_top_tier
    from {{ ref('dim_customers') }}
    where person_id is not null
    group by person_id

),

-- What no vendor measures is unknown, not zero.
contacts as (

    select
        grouped.contact_group as entity,
        case when vendors.are_viewers_read then case when people.viewer_count > 0 then 1 else 0 end end as is_viewer,
        case when vendors.are_customers_read then case when people.customer_count > 0 then 1 else 0 end end as is_customer,
        case when vendors.are_customers_read then case when people.may_be_mailed then 1 else 0 end end as may_be_mailed,
        watched.media_count,
        bought.order_count,
        bought.is_in_top_tier
    from {{ ref('int_contacts_grouped') }} as grouped
    cross join vendors
    left join {{ ref('dim_people') }} as people on grouped.person_id = people.person_id
    left join watched on grouped.person_id = watched.person_id
    left join bought on grouped.person_id = bought.person_id
    where grouped.contact_group is not null

),

customers as (

    select
        customers.customer_id,
        customers.clv_tier as entity,
        customers.country,
        customers.predicted_clv,
        customers.historic_clv,
        customers.average_order_value,
        customers.historic_order_count as order_count,
        customers.average_days_between_orders as days_between_orders,
        customers.churn_probability,
        case when cast(customers.next_order_expected_at as date) < customers.measured_on then 1
            when customers.next_order_expected_at is not null then 0 end as is_overdue,
        case when vendors.are_viewers_read and customers.person_id is not null
            then case when watched.person_id is not null then 1 else 0 end end as is_viewer,
        case when customers.may_be_mailed then 1 else 0 end as may_be_mailed,
        case when customers.may_be_texted then 1 else 0 end as may_be_texted
    from {{ ref('dim_customers') }} as customers
    cross join vendors
    left join watched on customers.person_id = watched.person_id
    where customers.clv_tier <> 'no_prediction'

),

-- The part of each person's own purchases or views: a frequent buyer is one observation.
categories as (

    select
        events.customer_id,
        named.category_name as label,
        cast(count(*) as double) / sum(count(*)) over (partition by events.customer_id) as part
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    join {{ ref('stg_klaviyo__catalog_items') }} as items on events.product_id = items.product_id
    join {{ ref('stg_klaviyo__catalog_category_items') }} as shelved on items.catalog_item_id = shelved.catalog_item_id
    join {{ ref('stg_klaviyo__catalog_categories') }} as named on shelved.category_id = named.category_id
    where metrics.metric_role = 'ordered_product'
    group by events.customer_id, named.category_name

),

addresses as (

    select
        embed_url,
        {{ text_part('embed_url', '^https?:/+(?:www[.])?([a-zA-Z0-9.-]+)', 1) }} as host,
        coalesce({{ text_part('embed_url', '^https?:/+[^/]+(/[a-zA-Z-]+)(?:/|$)', 1) }}, '') as folder
    from {{ ref('stg_wistia__viewing_events') }}
    group by embed_url

),

pages as (

    select
        events.viewer_id,
        concat_ws('', addresses.host, addresses.folder) as label,
        cast(count(*) as double) / sum(count(*)) over (partition by events.viewer_id) as part
    from {{ ref('stg_wistia__viewing_events') }} as events
    join addresses on events.embed_url = addresses.embed_url
    where addresses.host is not null
    group by events.viewer_id, concat_ws('', addresses.host, addresses.folder)

),

parts as (

    {% for job, fact, relation, key, has in [
        ('clv-tiers', 'leaning_categories', 'customers', 'customer_id', 'categories'),
        ('viewer-clusters', 'leaning_pages', 'viewers', 'viewer_id', 'pages'),
    ] -%}
    select '{{ job }}' as job, '{{ fact }}' as fact_name, them.entity, its.label, them.{{ key }} as id, its.part
    from {{ relation }} as them
    join {{ has }} as its on them.{{ key }} = its.{{ key }}
    union all
    {% endfor -%}
    {% for job, relation, key in [('clv-tiers', 'customers', 'customer_id'), ('viewer-clusters', 'viewers', 'viewer_id')] -%}
    select '{{ job }}', 'leaning_countries', entity, country, {{ key }}, 1.0
    from {{ relation }}
    where country is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- An empty entity is everybody.
part_wholes as (

    select job, fact_name, coalesce(parts.entity, '') as entity, count(distinct id) as sample_count
    from parts
    group by grouping sets ((job, fact_name, parts.entity), (job, fact_name))

),

part_sums as (

    select
        job,
        fact_name,
        coalesce(parts.entity, '') as entity,
        label,
        cast(sum(cast(part as decimal(18, 8))) as double) as part_sum
    from parts
    group by grouping sets ((job, fact_name, parts.entity, label), (job, fact_name, label))

),

views as (

    select
        coalesce(viewer_cluster, '') as entity,
        media_id,
        max(media_name) as label,
        cast(sum(viewer_count) as bigint) as view_count
    from {{ ref('agg_viewer_cluster_medias') }}
    group by grouping sets ((viewer_cluster, media_id), (media_id))

),

habits as (

    select * from {{ ref('agg_reading_habits') }} where region = 'all'

),

found as (

    {% for job, (relation, its) in measured.items() -%}
    {% for fact, column in its.items() -%}
    select
        '{{ job }}' as job,
        coalesce(entity, '') as entity,
        '{{ fact }}' as fact_name,
        '' as label,
        count({{ column }}) as sample_count,
        -- Decimal, so that the mean does not depend on the order of its rows.
        {{ mean('cast(' ~ column ~ ' as decimal(38, 6))') }} as value,
        cast(null as double) as average,
        stddev_pop(cast({{ column }} as double)) as spread,
        {{ 'true' if fact in shares else 'false' }} as is_share
    from {{ relation }}
    group by grouping sets ((entity), ())
    union all
    {% endfor -%}
    {% endfor -%}
    select
        sums.job,
        sums.entity,
        sums.fact_name,
        sums.label,
        wholes.sample_count,
        sums.part_sum / wholes.sample_count,
        null,
        null,
        true
    from part_sums as sums
    join part_wholes as wholes
        on sums.job = wholes.job and sums.fact_name = wholes.fact_name and sums.entity = wholes.entity
    union all
    select
        'viewer-clusters',
        entity,
        'leaning_medias',
        label,
        cast(sum(view_count) over (partition by entity) as bigint),
        {{ share('view_count', 'sum(view_count) over (partition by entity)') }},
        null,
        null,
        true
    from views
    {%- for job, kind in read.items() %}
    union all
    select
        '{{ job }}',
        case when habits.segment_kind = 'everybody' then '' else {{ 'groups.contact_group' if kind == 'role' else 'habits.segment_id' }} end,
        case when habits.day_part = 'any' then 'reading_devices' else 'reading_hours' end,
        case when habits.day_part = 'any' then habits.device_class else habits.day_part end,
        habits.segment_person_count,
        case when habits.day_part = 'any' then habits.person_share else habits.mean_event_share end,
        null,
        null,
        true
    from habits
    {%- if kind == 'role' %}
    left join {{ ref('agg_contact_groups') }} as groups on habits.segment_kind = 'role' and habits.segment_id = groups.role
    {%- endif %}
    where habits.segment_kind in ('everybody', '{{ kind }}')
        and habits.country = 'all'
        and (habits.day_part = 'any') <> (habits.device_class = 'any')
    {%- endfor %}
    {%- for persona, device_class in device_classes.items() %}
    union all
    select
        'device-geography',
        '{{ persona }}',
        case
            when habits.country <> 'all' then 'reading_countries'
            when habits.segment_kind = 'segment' then 'reading_segments'
            else 'reading_roles'
        end,
        case when habits.country <> 'all' then habits.country else habits.segment_name end,
        habits.segment_person_count,
        habits.person_share,
        everybody.person_share,
        null,
        true
    from habits
    join habits as everybody
        on everybody.segment_kind = 'everybody'
        and everybody.country = 'all'
        and everybody.device_class = '{{ device_class }}'
        and everybody.day_part = 'any'
    where habits.device_class = '{{ device_class }}'
        and habits.day_part = 'any'
        and habits.segment_kind in ('everybody', 'segment', 'role')
        and (habits.country <> 'all') = (habits.segment_kind = 'everybody')
    union all
    -- The hours of what is read on these devices, beside the hours of everything; as many observations as people with that device.
    select
        'device-geography',
        '{{ persona }}',
        'reading_hours',
        cells.day_part,
        devices.person_count,
        {{ share('cells.event_count', 'devices.event_count') }},
        everybody.event_share,
        null,
        true
    from habits as cells
    join habits as devices
        on devices.segment_kind = 'everybody'
        and devices.country = 'all'
        and devices.device_class = cells.device_class
        and devices.day_part = 'any'
    join habits as everybody
        on everybody.segment_kind = 'everybody'
        and everybody.country = 'all'
        and everybody.device_class = 'any'
        and everybody.day_part = cells.day_part
    where cells.segment_kind = 'everybody'
        and cells.country = 'all'
        and cells.device_class = '{{ device_class }}'
        and cells.day_part <> 'any'
    {%- endfor %}

),

everybody as (

    select * from found where entity = ''

),

beside as (

    select
        found.*,
        coalesce(found.average, everybody.value) as everybodys,
        case
            when found.is_share then sqrt(coalesce(found.average, everybody.value) * (1 - coalesce(found.average, everybody.value)))
            else everybody.spread
        end as deviation
    from found
    left join everybody
        on found.job = everybody.job and found.fact_name = everybody.fact_name and found.label = everybody.label
    -- What is known of fewer people is not named, and neither is a label that fewer share.
    where found.entity <> ''
        and found.sample_count >= {{ var('smallest_group') }}
        and (found.label = '' or round(found.value * found.sample_count, 6) >= {{ var('smallest_group') }})

),

-- In standard deviations of single people, so that hours, shares and money can be ranked together.
spaced as (

    select
        *,
        case
            when is_share then {{ wilson_low('least(value, 1) * sample_count', 'sample_count') }}
            else value - {{ var('confidence_z') }} * spread / sqrt(sample_count)
        end as value_low,
        case
            when is_share then {{ wilson_high('least(value, 1) * sample_count', 'sample_count') }}
            else value + {{ var('confidence_z') }} * spread / sqrt(sample_count)
        end as value_high,
        (value - everybodys) / nullif(deviation, 0) as distance,
        coalesce(deviation > 0, false) as is_judged
    from beside

),

tested as (

    select *, {{ two_sided_p('(distance * sqrt(sample_count))') }} as p_value from spaced

),

adjusted as (

    {{ with_adjusted_p('tested', [['', 'is_judged']]) }}

),

judged as (

    select
        *,
        coalesce(
            is_judged
            and everybodys not between value_low and value_high
            and adjusted_p_value < {{ var('false_discovery_below') }}
            and abs(distance) >= {{ var('distinct_from_distance') }}
            -- A label is named for the groups that lean to it, not for those that avoid it.
            and (label = '' or distance > 0),
            false
        ) as is_distinct
    from adjusted

),

-- Rounded, so that of equal distances the digits that depend on the order of a sum do not decide.
ranked as (

    select
        *,
        case when is_distinct then
            cast(row_number() over (partition by job, entity, fact_name, is_distinct order by round(abs(distance), 9) desc, label) as bigint)
        end as label_position
    from judged

)

select
    job,
    entity,
    fact_name,
    label,
    sample_count,
    value,
    value_low,
    value_high,
    everybodys as average,
    distance,
    p_value,
    adjusted_p_value,
    is_distinct,
    label_position,
    case when label_position = 1 then
        cast(row_number() over (partition by job, entity, label_position order by round(abs(distance), 9) desc, fact_name) as bigint)
    end as fact_position
from ranked
