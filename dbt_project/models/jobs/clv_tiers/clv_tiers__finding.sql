select
    'klaviyo' as vendor,
    coalesce(
        max(case when predicted_value_share is not null then
            concat_ws('', 'The top tier holds ', {{ percent('predicted_value_share') }}, ' of the predicted value')
        end),
        'No predictions: Klaviyo needs 500 customers and 180 days of orders'
    ) as finding
from {{ ref('agg_clv_tiers') }}
where clv_tier = 'top'
