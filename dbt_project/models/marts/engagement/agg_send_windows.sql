{%- set z, length = var('statement_z'), var('send_window_hours') -%}
{%- set sums = {} -%}
{%- for days, weekdays in [('weekdays', range(1, 6)), ('weekend', range(6, 8))] -%}
    {%- set counts = [] -%}
    {%- for weekday in weekdays -%}{%- do counts.append(weekdays_between(weekday, 'measured_from', 'measured_to')) -%}{%- endfor -%}
    {%- do sums.update({days: counts | join(' + ')}) -%}
{%- endfor -%}

with hours as (

    select *, case when local_weekday <= 5 then 'weekdays' else 'weekend' end as days
    from {{ ref('agg_reading_hours') }}
    where activity = 'mail' and device_class = 'any'

),

groups as (

    select
        segment_kind,
        segment_id,
        max(segment_name) as segment_name,
        max(segment_person_count) as segment_person_count,
        max(segment_event_count) as segment_event_count,
        min(measured_from) as measured_from,
        max(measured_to) as measured_to
    from hours
    group by segment_kind, segment_id

),

-- Days of each kind have the same hours, whether or not anybody read in them.
exposed as (

    {% for days in sums -%}
    select
        '{{ days }}' as days,
        {{ share(
            '(' ~ sums[days] ~ ')',
            '(24 * (1 + (' ~ dbt.datediff('measured_from', 'measured_to', 'day') ~ ')))'
        ) }} as hour_share
    from (select min(measured_from) as measured_from, max(measured_to) as measured_to from hours) as windows
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

starts as (

    {% for hour in range(0, 25 - length) -%}
    select {{ hour }} as hour_from {{ 'union all' if not loop.last }}
    {% endfor %}

),

summed as (

    select
        hours.segment_kind,
        hours.segment_id,
        hours.days,
        starts.hour_from,
        cast(sum(hours.event_count) as bigint) as event_count,
        cast(sum(cast(hours.mean_event_share as decimal(38, 16))) as double) as event_share
    from starts
    join hours on hours.local_hour >= starts.hour_from and hours.local_hour < starts.hour_from + {{ length }}
    group by hours.segment_kind, hours.segment_id, hours.days, starts.hour_from

),

measured as (

    select
        summed.*,
        groups.segment_name,
        groups.segment_person_count,
        groups.segment_event_count,
        groups.measured_from,
        groups.measured_to,
        {{ length }} * exposed.hour_share as exposure_share,
        everybody.event_share as account_event_share,
        least(summed.event_share, 1) * groups.segment_person_count as compared_count
    from summed
    join groups on summed.segment_kind = groups.segment_kind and summed.segment_id = groups.segment_id
    join exposed on summed.days = exposed.days
    left join summed as everybody
        on everybody.segment_kind = 'everybody'
        and summed.days = everybody.days
        and summed.hour_from = everybody.hour_from

),

indexed as (

    select
        *,
        {{ share('event_share', 'exposure_share') }} as window_index,
        {{ wilson_low('compared_count', 'segment_person_count') }} as event_share_low,
        {{ wilson_high('compared_count', 'segment_person_count') }} as event_share_high,
        {{ wilson_low('compared_count', 'segment_person_count', z) }} as surely_above,
        {{ is_small('segment_person_count') }} as is_small_sample
    from measured

),

ranked as (

    select
        *,
        cast(row_number() over (
            partition by segment_kind, segment_id
            order by cast(window_index as decimal(18, 9)) desc, days, hour_from
        ) as bigint) as window_position
    from indexed

),

judged as (

    select
        *,
        not is_small_sample and coalesce(surely_above > exposure_share, false) as is_surely_above_mean_hour,
        not is_small_sample and segment_kind <> 'everybody' and coalesce(surely_above > account_event_share, false)
            as is_surely_above_account
    from ranked

)

select
    segment_kind,
    segment_id,
    days,
    hour_from,
    segment_name,
    case
        when window_position = 1 and is_surely_above_mean_hour then concat_ws('',
            case segment_kind
                when 'everybody' then 'Everybody'
                else concat_ws('', upper(substr(segment_kind, 1, 1)), substr(segment_kind, 2), ' "', segment_name, '"')
            end,
            ' opens and clicks most on ', case days when 'weekdays' then 'weekdays' else 'the weekend' end, ' from ',
            hour_from, ':00 to ', hour_from + {{ length }}, ':00 by the clocks of its people: ',
            {{ percent('event_share') }}, ' (95% interval ', {{ percent('event_share_low') }}, ' to ',
            {{ percent('event_share_high') }}, ') of what they do, in ', {{ percent('exposure_share') }},
            ' of the time, by ', {{ counted('segment_person_count') }}, ' people'
        )
    end as statement,
    segment_person_count,
    segment_event_count,
    event_count,
    event_share,
    event_share_low,
    event_share_high,
    exposure_share,
    window_index,
    {{ share('event_share_low', 'exposure_share') }} as window_index_low,
    {{ share('event_share_high', 'exposure_share') }} as window_index_high,
    account_event_share,
    window_position,
    is_surely_above_mean_hour,
    is_surely_above_account,
    is_small_sample,
    measured_from,
    measured_to
from judged
