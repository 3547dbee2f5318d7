with mail_days as (

    select
        happened_on,
        mean_daily_unique_open_count,
        mean_daily_unique_click_count,
        max(happened_on) over () as last_day
    from {{ ref('fct_engagement_daily') }}

),

mail as (

    select
        count(*) as mail_day_count,
        max(case when {{ dbt.datediff('happened_on', 'last_day', 'day') }} = 7 then mean_daily_unique_open_count end)
            as mean_open_count_before,
        max(case when {{ dbt.datediff('happened_on', 'last_day', 'day') }} = 7 then mean_daily_unique_click_count end)
            as mean_click_count_before
    from mail_days

),

leader as (

    select *
    from {{ ref('rpt_opens_by_device') }}
    where is_last_week
    order by coalesce(unique_open_share, 0) desc, device_class
    limit 1

),

-- The device with the largest share in the latest week, in the first week of the chart.
leader_before as (

    select first_week.*
    from {{ ref('rpt_opens_by_device') }} as first_week
    join leader on first_week.device_class = leader.device_class
    where first_week.is_first_week and not first_week.is_last_week

),

weeks as (

    select
        max(case when is_last_week then day_count end) as last_week_day_count,
        min(week_from) as first_week_from,
        max(week_from) as last_week_from
    from {{ ref('rpt_opens_by_device') }}

),

tests as (

    select
        count(distinct single_send_id) as ab_test_count,
        count(distinct case when outcome <> 'undecided' then single_send_id end) as decided_ab_test_count,
        count(distinct case when outcome = 'loser' then single_send_id end) as lost_ab_test_count
    from {{ ref('fct_ab_tests') }}

),

contact_groups as (

    select
        count(*) as contact_group_count,
        count(*) filter (where is_selected) as selected_contact_group_count,
        count(*) filter (where is_small_sample) as small_contact_group_count
    from {{ ref('agg_contact_groups') }}

)

select
    'E-mail' as section,
    leader.device_class as leading_device_class,
    case
        when leader_before.unique_open_share_high < leader.unique_open_share_low then 'more'
        when leader_before.unique_open_share_low > leader.unique_open_share_high then 'less'
        when leader_before.unique_open_share is not null then 'unclear'
    end as leading_change,
    mail.mail_day_count,
    mail.mean_open_count_before,
    mail.mean_click_count_before,
    coalesce(leader.unique_open_share, 0) as leading_share,
    leader_before.unique_open_share as leading_share_before,
    weeks.last_week_day_count,
    tests.ab_test_count,
    tests.decided_ab_test_count,
    tests.lost_ab_test_count,
    contact_groups.contact_group_count,
    contact_groups.selected_contact_group_count,
    contact_groups.small_contact_group_count,
    weeks.last_week_day_count < 7 as is_last_week_partial,
    weeks.first_week_from,
    weeks.last_week_from
from mail
cross join weeks
cross join tests
cross join contact_groups
left join leader on true
left join leader_before on true
