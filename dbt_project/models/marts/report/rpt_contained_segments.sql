select
    case when a_in_b_share > b_in_a_share then segment_a_id else segment_b_id end as inner_segment_id,
    case when a_in_b_share > b_in_a_share then segment_b_id else segment_a_id end as outer_segment_id,
    case when a_in_b_share > b_in_a_share then segment_a_name else segment_b_name end as inner_segment_name,
    case when a_in_b_share > b_in_a_share then segment_b_name else segment_a_name end as outer_segment_name,
    jaccard_share
from {{ ref('agg_segment_overlaps') }}
where is_contained and not is_near_duplicate
