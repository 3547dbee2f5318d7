select
    changes.subject_id as customer_id,
    people.person_id,
    changes.value_before as tier_before,
    changes.value as tier_after,
    changes.observation_number,
    changes.is_rule_change,
    cast(changes.observed_at as date) as changed_on,
    changes.observed_at
from {{ ref('int_observed') }} as changes
left join {{ ref('int_customers_consented') }} as people on changes.subject_id = people.customer_id
where changes.kind = 'tier' and changes.value_before is not null and changes.value is not null and changes.value <> changes.value_before
