-- Which segments lost engaged viewers in the last 30 days, and to what?
select
    segment_name, sum(engaged_left_count)::bigint as left_the_segment, sum(engaged_ended_count)::bigint as no_longer_engaged,
    sum(engaged_joined_count)::bigint as joined, sum(engaged_began_count)::bigint as became_engaged,
    arg_max(engaged_member_count, happened_on) as engaged_members
from marts.fct_segment_membership_daily
where is_complete and happened_on > (select max(happened_on) - 30 from marts.fct_segment_membership_daily)
group by segment_id, segment_name
order by sum(engaged_left_count) + sum(engaged_ended_count) desc nulls last, segment_name
