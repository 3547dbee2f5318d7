{%- set step = var('persona_share_step') -%}
{%- set compared = {
    'viewer_share': step,
    'customer_share': step,
    'mean_media_count': 0.1,
    'mean_order_count': 0.1,
    'top_tier_share': step,
    'email_reachable_share': step,
} -%}

-- A persona per role and industry, the largest groups only; small ones are not even named.
with

chosen as (

    select * from {{ ref('agg_contact_groups') }} where is_selected

),

compared as (

    {{ groups_compared('contact-groups', 'chosen', 'contact_group', compared, {
        'reading_devices': 'device', 'reading_hours': 'day_part',
    }) }}

),

own as (

    select
        entity
        {%- for fact in compared %},
        max(case when fact_name = '{{ fact }}' then value end) as {{ fact }}
        {%- endfor %}
    from {{ ref('agg_groups_compared') }}
    where job = 'contact-groups'
    group by entity

)

select
    chosen.contact_group as entity,
    chosen.group_name as name,
    {{ facts_with_steps([
        ['role', 'chosen.role'],
        ['industry', 'chosen.industry'],
        ['role_family', 'chosen.role_family'],
        ['industry_family', 'chosen.industry_family'],
        figure('contact_count', 'chosen.contact_count'),
        measure('share_of_contacts', 'chosen.contact_share', step, ['chosen.contact_share_low', 'chosen.contact_share_high']),
        measure('viewer_share', 'chosen.viewer_share', step),
        measure('customer_share', 'chosen.customer_share', step),
        measure('mean_media_count', 'own.mean_media_count', 0.1),
        measure('mean_order_count', 'own.mean_order_count', 0.1),
        measure('top_tier_share', 'own.top_tier_share', step),
        measure('email_reachable_share', 'own.email_reachable_share', step),
        set_apart('apart'),
        averages('everybody', compared),
        leaning('reading_devices'),
        leaning('reading_hours'),
    ]) }},
    chosen.contact_count as person_count,
    {{ no_references() }} as reference_keys,
    cast(chosen.last_updated_at as date) as measured_on
from chosen
join compared on chosen.contact_group = compared.entity
left join own on chosen.contact_group = own.entity
