{%- set step = var('persona_share_step') -%}

-- A persona per role and industry, the largest groups only; small ones are not even named.
select
    contact_group as entity,
    {{ titled('Contacts', 'contact_group') }} as name,
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
    {{ no_references() }} as reference_keys,
    cast(last_updated_at as date) as measured_on
from {{ ref('contact_groups') }}
where is_selected
