-- Which segments lost engaged viewers in the last month?
-- An engaged viewer is lost by leaving the segment or by losing the habit. The history begins with the first build that kept it.
with last_month as (
    select *
    from marts.fct_segment_membership_daily
    where is_complete
        and happened_on > (select max(happened_on) from marts.fct_segment_membership_daily) - interval 1 month
)

select
    segment_name,
    sum(coalesce(engaged_left_count, 0) + coalesce(engaged_ended_count, 0)) as lost_count,
    sum(engaged_left_count) as left_count,
    sum(engaged_ended_count) as habit_ended_count,
    sum(coalesce(engaged_joined_count, 0) + coalesce(engaged_began_count, 0)) as won_count,
    arg_min(engaged_member_count, happened_on) as engaged_before,
    arg_max(engaged_member_count, happened_on) as engaged_now,
    min(happened_on) as since
from last_month
group by segment_id, segment_name
having not bool_or(is_gone)
order by lost_count desc, segment_name
