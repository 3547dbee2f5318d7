-- Which segments contain nearly the same people?
select
    segment_a_name, segment_b_name, member_a_count, member_b_count, shared_count,
    round(jaccard_share, 2) as jaccard_share
from marts.agg_segment_overlaps
where is_near_duplicate or is_contained
order by jaccard_share desc
