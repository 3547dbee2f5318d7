{%- set in_engaged_cluster -%} value in ('{{ var('engaged_clusters') | join("', '") }}') {%- endset -%}

with observed as (

    select
        kind,
        subject_id,
        dimension_id,
        value,
        value_before,
        next_value,
        observation_number,
        cast(happened_at as date) as happened_on,
        cast(observed_at as date) as observed_on,
        cast(next_observed_at as date) as next_observed_on
    from {{ ref('int_observed') }}
    where kind in ('segment', 'cluster')

),

history as (

    select min(observed_on) as first_observed_on from observed where kind = 'segment'

),

-- Members whom the first read found have joined when Klaviyo says so.
memberships as (

    select
        observed.dimension_id as segment_id,
        observed.subject_id as customer_id,
        observed.value,
        observed.value_before,
        observed.next_value,
        case
            when observed.observed_on = history.first_observed_on and observed.happened_on < observed.observed_on then observed.happened_on
            else observed.observed_on
        end as from_on,
        observed.observed_on,
        observed.next_observed_on
    from observed
    cross join history
    where observed.kind = 'segment'

),

flows as (

    select
        segment_id,
        from_on as happened_on,
        count(*) filter (where value is not null) as joined_count,
        count(*) filter (where value_before is not null) as left_count
    from memberships
    group by segment_id, from_on

),

-- Engaged viewers: how many of a person's browsers are in an engaged cluster changes by these numbers.
browser_steps as (

    select
        {{ person_id('viewers.email') }} as person_id,
        observed.observed_on as happened_on,
        sum(case when {{ in_engaged_cluster }} then 1 else 0 end)
        - sum(case when observed.value_before in ('{{ var('engaged_clusters') | join("', '") }}') then 1 else 0 end) as browser_step
    from observed
    join {{ ref('int_viewers_identified') }} as viewers on observed.subject_id = viewers.viewer_id
    where observed.kind = 'cluster' and viewers.email is not null
    group by {{ person_id('viewers.email') }}, observed.observed_on

),

person_days as (

    select
        person_id,
        happened_on,
        case when sum(browser_step) over (partition by person_id order by happened_on) > 0 then 1 else 0 end as is_engaged
    from browser_steps

),

person_changes as (

    select
        *,
        coalesce(lag(is_engaged) over (partition by person_id order by happened_on), 0) as was_engaged
    from person_days

),

engagements as (

    select
        person_id,
        is_engaged,
        happened_on as from_on,
        lead(happened_on) over (partition by person_id order by happened_on) as until_on
    from person_changes
    where is_engaged <> was_engaged

),

-- Days on which a member was an engaged viewer; without an end, they last.
engaged_stays as (

    select
        memberships.segment_id,
        memberships.value_before,
        memberships.next_value,
        memberships.observed_on as member_from_on,
        memberships.next_observed_on as member_until_on,
        greatest(memberships.observed_on, engagements.from_on) as from_on,
        case
            when memberships.next_observed_on is null then engagements.until_on
            when engagements.until_on is null then memberships.next_observed_on
            else least(memberships.next_observed_on, engagements.until_on)
        end as until_on
    from memberships
    join {{ ref('int_customers_consented') }} as people on memberships.customer_id = people.customer_id
    join engagements on people.person_id = engagements.person_id
    where memberships.value is not null
        and engagements.is_engaged = 1
        and coalesce(engagements.until_on > memberships.observed_on, true)
        and coalesce(memberships.next_observed_on > engagements.from_on, true)

),

engaged_flows as (

    select
        segment_id,
        from_on as happened_on,
        1 as engaged_step,
        case when from_on = member_from_on and value_before is null then 1 else 0 end as engaged_joined,
        case when from_on > member_from_on then 1 else 0 end as engaged_began,
        0 as engaged_left,
        0 as engaged_ended
    from engaged_stays
    union all
    select
        segment_id,
        until_on as happened_on,
        -1 as engaged_step,
        0 as engaged_joined,
        0 as engaged_began,
        case when until_on = member_until_on and next_value is null then 1 else 0 end as engaged_left,
        case when coalesce(until_on < member_until_on, true) then 1 else 0 end as engaged_ended
    from engaged_stays
    where until_on is not null

),

engaged as (

    select
        segment_id,
        happened_on,
        sum(engaged_step) as engaged_step,
        sum(engaged_joined) as engaged_joined_count,
        sum(engaged_began) as engaged_began_count,
        sum(engaged_left) as engaged_left_count,
        sum(engaged_ended) as engaged_ended_count
    from engaged_flows
    group by segment_id, happened_on

),

read_days as (

    select distinct reads.read_on
    from {{ ref('int_history_reads') }} as reads
    cross join history
    where reads.kind in ('segment', 'cluster') and reads.read_on >= history.first_observed_on

),

starts as (

    select segment_id, min(observed_on) as first_observed_on from memberships group by segment_id

),

-- A segment that Klaviyo no longer has ends with the day on which its last members were missing.
segments as (

    select
        starts.segment_id,
        starts.first_observed_on,
        segments.segment_name,
        cast(segments.gone_at as date) as gone_on
    from starts
    left join {{ ref('stg_klaviyo__segments') }} as segments on starts.segment_id = segments.segment_id

),

days as (

    select segments.segment_id, read_days.read_on as happened_on
    from segments
    join read_days
        on segments.first_observed_on <= read_days.read_on
        and coalesce(read_days.read_on <= segments.gone_on, true)
    union
    select segment_id, happened_on from flows
    union
    select segment_id, happened_on from engaged

),

counted as (

    select
        days.segment_id,
        days.happened_on,
        coalesce(flows.joined_count, 0) as joined_count,
        coalesce(flows.left_count, 0) as left_count,
        coalesce(engaged.engaged_joined_count, 0) as engaged_joined_count,
        coalesce(engaged.engaged_began_count, 0) as engaged_began_count,
        coalesce(engaged.engaged_left_count, 0) as engaged_left_count,
        coalesce(engaged.engaged_ended_count, 0) as engaged_ended_count,
        sum(coalesce(flows.joined_count, 0) - coalesce(flows.left_count, 0)) over since_start as member_count,
        sum(coalesce(engaged.engaged_step, 0)) over since_start as engaged_member_count
    from days
    left join flows on days.segment_id = flows.segment_id and days.happened_on = flows.happened_on
    left join engaged on days.segment_id = engaged.segment_id and days.happened_on = engaged.happened_on
    window since_start as (partition by days.segment_id order by days.happened_on)

)

select
    counted.segment_id,
    segments.segment_name,
    cast(counted.member_count as bigint) as member_count,
    cast(case when counted.happened_on <> history.first_observed_on then counted.joined_count end as bigint) as joined_count,
    cast(case when counted.happened_on > history.first_observed_on then counted.left_count end as bigint) as left_count,
    cast(case when counted.happened_on > history.first_observed_on then counted.member_count - counted.joined_count end as bigint) as stayed_count,
    cast(case when counted.happened_on >= history.first_observed_on then counted.engaged_member_count end as bigint) as engaged_member_count,
    cast(case when counted.happened_on > history.first_observed_on then counted.engaged_joined_count end as bigint) as engaged_joined_count,
    cast(case when counted.happened_on > history.first_observed_on then counted.engaged_left_count end as bigint) as engaged_left_count,
    cast(case when counted.happened_on > history.first_observed_on then counted.engaged_began_count end as bigint) as engaged_began_count,
    cast(case when counted.happened_on > history.first_observed_on then counted.engaged_ended_count end as bigint) as engaged_ended_count,
    counts.customer_count as reported_member_count,
    counted.happened_on >= history.first_observed_on as is_complete,
    coalesce(segments.gone_on <= counted.happened_on, false) as is_gone,
    counted.happened_on
from counted
cross join history
join segments on counted.segment_id = segments.segment_id
left join {{ ref('stg_klaviyo__segment_counts') }} as counts
    on counted.segment_id = counts.segment_id
    and counted.happened_on = counts.measured_on
