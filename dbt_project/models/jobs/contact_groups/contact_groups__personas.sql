{%- set step = var('persona_share_step') -%}
{%- set interval = ['contact_share_low', 'contact_share_high'] -%}

-- A persona per role and industry, the largest groups only; small ones are not even named.
select
    contact_group as entity,
    {{ titled('Contacts', 'contact_group') }} as name,
    {{ facts_with_steps([
        ['role', 'role'],
        ['industry', 'industry'],
        figure('contact_count', 'contact_count'),
        figure('grouped_contact_count', 'grouped_contact_count'),
        figure('ungrouped_contact_count', '(total_contact_count - grouped_contact_count)'),
        measure('share_of_contacts', 'contact_share', step, interval),
        measure('share_low', 'contact_share_low', step, interval),
        measure('share_high', 'contact_share_high', step, interval),
        measure('share_of_role', 'share_of_role', step),
        measure('share_of_industry', 'share_of_industry', step),
        measure('viewer_share', 'viewer_share', step),
        measure('customer_share', 'customer_share', step),
    ]) }},
    contact_count as person_count,
    {{ no_references() }} as reference_keys,
    cast(last_updated_at as date) as measured_on
from {{ ref('agg_contact_groups') }}
where is_selected
