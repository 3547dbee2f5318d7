{%- set needed = var('tier_measurements_to_move') -%}

-- The latest measurements of each profile that still exists, 1 being the last.
with measurements as (

    select
        predictions.*,
        row_number() over (partition by predictions.customer_id order by predictions.measured_on desc) as recency
    from {{ ref('stg_klaviyo__predictive_analytics') }} as predictions
    join {{ ref('stg_klaviyo__profiles') }} as profiles on predictions.customer_id = profiles.customer_id

),

-- Equal values share a rank, so that chance never splits a tie: all of it is on the higher side of an edge.
ranked as (

    select
        customer_id,
        recency,
        rank() over (partition by recency order by predicted_clv desc) - 1 as worth_more_count,
        count(*) over (partition by recency) as predicted_count
    from measurements
    where predicted_clv is not null
        and recency <= {{ var('tier_measurements_kept') }}

),

sides as (

    select
        customer_id,
        recency,
        case when worth_more_count < {{ var('top_tier_to_share') }} * predicted_count then 1 else 0 end as is_top,
        case when worth_more_count < {{ var('middle_tier_to_share') }} * predicted_count then 0 else 1 end as is_rest
    from ranked

),

-- How often a customer was on either side in the measurements ending with this one.
stays as (

    select
        *,
        count(*) over measured as measurement_count,
        sum(is_top) over measured as top_count,
        sum(is_rest) over measured as rest_count
    from sides
    window measured as (
        partition by customer_id order by recency rows between current row and {{ needed - 1 }} following
    )

),

-- Each edge counts separately: a customer between the upper tiers has still left the lowest one.
settled as (

    select
        customer_id,
        coalesce(
            min_by(is_top, recency) filter (where measurement_count = {{ needed }} and top_count in (0, {{ needed }}) and is_top is not null),
            max_by(is_top, recency) filter (where is_top is not null)
        ) as is_top,
        coalesce(
            min_by(is_rest, recency) filter (where measurement_count = {{ needed }} and rest_count in (0, {{ needed }}) and is_rest is not null),
            max_by(is_rest, recency) filter (where is_rest is not null)
        ) as is_rest
    from stays
    group by customer_id

)

select
    predictions.customer_id,
    case
        when predictions.predicted_clv is null then 'no_prediction'
        when settled.is_top = 1 then 'top'
        when settled.is_rest = 1 then 'rest'
        when settled.is_rest = 0 then 'middle'
    end as clv_tier,
    case
        when predictions.churn_probability < {{ var('medium_churn_from') }} then 'low'
        when predictions.churn_probability <= {{ var('high_churn_above') }} then 'medium'
        when predictions.churn_probability > {{ var('high_churn_above') }} then 'high'
    end as churn_band,
    predictions.predicted_clv,
    predictions.historic_clv,
    predictions.total_clv,
    predictions.average_order_value,
    predictions.historic_order_count,
    predictions.predicted_order_count,
    predictions.average_days_between_orders,
    predictions.churn_probability,
    predictions.measured_on,
    predictions.next_order_expected_at
from measurements as predictions
left join settled on predictions.customer_id = settled.customer_id
where predictions.recency = 1
