with changes as (

    select
        *,
        min(observed_at) over (partition by kind, subject_id) as first_observed_at
    from {{ ref('int_observed') }}
    where kind = 'column'

)

-- What was there when the table was first seen is no change.
select
    subject_id as relation,
    dimension_id as column_name,
    observation_number,
    case
        when value is null then 'column is gone'
        when value_before is null then 'new column'
        else 'other type'
    end as change,
    value_before as type_before,
    value as type_after,
    cast(observed_at as date) as changed_on,
    observed_at
from changes
where observed_at > first_observed_at
