with observations as (

    select
        kind,
        subject_id,
        dimension_id,
        value,
        rule,
        happened_at,
        observed_at,
        recorded_at,
        0 as is_new
    from {{ ref('stg_operations__observations') }}
    union all
    select
        kind,
        subject_id,
        dimension_id,
        value,
        rule,
        happened_at,
        observed_at,
        {{ utc('null') }} as recorded_at,
        1 as is_new
    from {{ ref('int_observations_changed') }}

),

numbered as (

    select
        *,
        cast(row_number() over (
            partition by kind, subject_id, dimension_id order by is_new, observed_at, recorded_at
        ) as bigint) as observation_number
    from observations

),

compared as (

    select
        *,
        lag(value) over stay as value_before,
        lag(rule) over stay as rule_before,
        lag(observed_at) over stay as observed_before_at,
        lead(value) over stay as next_value,
        lead(observed_at) over stay as next_observed_at
    from numbered
    window stay as (partition by kind, subject_id, dimension_id order by observation_number)

)

select
    kind,
    subject_id,
    dimension_id,
    observation_number,
    value,
    value_before,
    next_value,
    coalesce(rule <> rule_before, false) as is_rule_change,
    -- The vendor's own time, where it may be that of this change.
    case
        when value is not null and happened_at <= observed_at and coalesce(happened_at > observed_before_at, true) then happened_at
        else observed_at
    end as changed_at,
    happened_at,
    observed_at,
    next_observed_at
from compared
