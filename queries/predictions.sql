-- Was the prediction right: Klaviyo's, and ours? Where its days are not over, when will we know?
select
    predictor, measure, measured_month, prediction_count, is_due, due_on, round(mean_predicted, 2) as mean_predicted,
    round(mean_actual, 2) as mean_actual, round(bias_share, 3) as bias_share, covered_decile_count, decile_count
from marts.agg_prediction_checks
order by predictor, measure, measured_month
