with snapshots as (

    select
        *,
        row_number() over (partition by customer_id order by measured_on desc) as recency
    from {{ ref('stg_klaviyo__predictive_analytics') }}

),

predictions as (

    select snapshots.*
    from snapshots
    join {{ ref('stg_klaviyo__profiles') }} as profiles on snapshots.customer_id = profiles.customer_id
    where snapshots.recency = 1

),

-- Equal values share a rank, so that a tie is never cut by chance: all of it goes to the higher tier.
ranked as (

    select
        customer_id,
        rank() over (order by predicted_clv_usd desc) - 1 as worth_more_count,
        count(*) over () as predicted_count
    from predictions
    where predicted_clv_usd is not null

)

select
    predictions.customer_id,
    case
        when ranked.worth_more_count < {{ var('top_tier_to_share') }} * ranked.predicted_count then 'top'
        when ranked.worth_more_count < {{ var('middle_tier_to_share') }} * ranked.predicted_count then 'middle'
        when ranked.worth_more_count < ranked.predicted_count then 'rest'
        when predictions.predicted_clv_usd is null then 'no_prediction'
    end as clv_tier,
    case
        when predictions.churn_probability < {{ var('medium_churn_from') }} then 'low'
        when predictions.churn_probability <= {{ var('high_churn_above') }} then 'medium'
        when predictions.churn_probability > {{ var('high_churn_above') }} then 'high'
    end as churn_band,
    predictions.predicted_clv_usd,
    predictions.historic_clv_usd,
    predictions.total_clv_usd,
    predictions.average_order_value_usd,
    predictions.historic_order_count,
    predictions.predicted_order_count,
    predictions.average_days_between_orders,
    predictions.churn_probability,
    predictions.measured_on,
    predictions.next_order_expected_at
from predictions
left join ranked on predictions.customer_id = ranked.customer_id
