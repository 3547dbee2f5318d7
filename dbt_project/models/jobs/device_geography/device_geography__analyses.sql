{%- set step = var('analysis_share_step') -%}
{%- set told = var('persona_share_step') -%}
{%- set listed_steps = {'[]': var('listed_from_share'), '[].share': step} -%}

-- The account's readers by device, client and place.
with

persona_list as (

    select
        {{ sorted_list(record([
            ['share', in_steps('share', told)], ['device_persona', 'device_persona'], ['is_persona', 'is_persona'],
        ])) }} as personas,
        max(total_count) as total_count,
        max(measured_to) as measured_to
    from {{ ref('agg_device_segments') }}

),

share_lists as (

    select
        {{ sorted_list(listed('device', 'device', told)) }} as devices,
        {{ sorted_list(listed('client', 'client', told)) }} as clients,
        {{ sorted_list(listed('country', 'country', told)) }} as countries,
        {{ sorted_list(listed('province', 'province', told, [['country', 'country']])) }} as provinces,
        {{ sorted_list(listed('browser', 'browser', told)) }} as browsers,
        {{ sorted_list(listed('mailbox_provider', 'mailbox_provider', told)) }} as mailbox_providers
    from {{ ref('agg_engagement_shares') }}

),

-- When people read, by their own clocks, and the groups whose habit is certain. Other vendors measure these, person by person.
habits as (

    select * from {{ ref('agg_reading_habits') }}
    where is_measured and country = 'all' and region = 'all'

),

-- The most pronounced habits, each beside that of everybody. least_share keeps noise at the edge from costing credits.
ranked_habits as (

    select
        its.*,
        everybody.person_share as everybody_share,
        row_number() over (
            order by its.person_share desc, its.segment_kind, its.segment_id, its.device_class, its.day_part
        ) as habit_position
    from habits as its
    join habits as everybody
        on its.device_class = everybody.device_class
        and its.day_part = everybody.day_part
        and everybody.segment_kind = 'everybody'
    where its.is_surely_most
        and its.segment_kind <> 'everybody'
        and (its.device_class = 'any' or its.day_part = 'any')
        and its.person_count >= {{ var('smallest_group') }}

),

group_list as (

    select
        {{ sorted_list("case when habit_position <= " ~ var('listed_reading_groups') ~ " then " ~ record([
            ['share', in_steps('person_share', told)],
            ['average', in_steps('everybody_share', told)],
            ['people', two_digits('segment_person_count', 5)],
            ['kind', 'segment_kind'],
            ['group_name', label('segment_name')],
            ['device', "nullif(device_class, 'any')"],
            ['day_part', "nullif(day_part, 'any')"],
        ]) ~ " end") }} as reading_groups,
        coalesce(max(case when habit_position = {{ var('listed_reading_groups') }} then person_share end), 0.5) as least_share
    from ranked_habits

),

hour_list as (

    select {{ sorted_list(record([
        ['share', in_steps('mean_event_share', told)],
        ['week_share', in_steps('week_share', told)],
        ['day_part', 'day_part'],
    ])) }} as reading_hours
    from habits
    where segment_kind = 'everybody' and device_class = 'any' and day_part <> 'any'

),

days as (

    select happened_on, sum(daily_unique_open_count) as daily_unique_open_count
    from {{ ref('fct_opens_by_device_daily') }}
    group by happened_on

),

busiest as (

    select max(days.daily_unique_open_count) as daily_unique_open_count
    from days
    cross join persona_list
    where {{ in_window('days.happened_on', 'persona_list.measured_to') }}

)

select
    'account' as entity,
    'E-mail readers by device and country' as name,
    {{ facts_with_steps([
        ['window_days', var('engagement_window_days')],
        figure('delivered', 'rates.delivered_count', 5),
        figure('unique_opens', 'persona_list.total_count', 5),
        measure('open_rate', 'rates.unique_open_share', 0.01),
        measure('click_rate', 'rates.unique_click_share', 0.01),
        ['personas', 'persona_list.personas', {'[].share': step}],
        ['devices', 'share_lists.devices', listed_steps],
        ['clients', 'share_lists.clients', listed_steps],
        ['countries', 'share_lists.countries', listed_steps],
        ['provinces', 'share_lists.provinces', listed_steps],
        ['browsers', 'share_lists.browsers', listed_steps],
        ['mailbox_providers', 'share_lists.mailbox_providers', listed_steps],
        ['reading_hours', 'hour_list.reading_hours', {'[].share': step, '[].week_share': step}],
        ['reading_groups', 'group_list.reading_groups', {
            '[]': 'group_list.least_share',
            '[].share': step,
            '[].average': step,
            '[].people': two_digits_step('rates.delivered_count', 5),
        }],
    ]) }},
    cast(busiest.daily_unique_open_count as bigint) as person_count,
    {{ no_references() }} as reference_keys,
    persona_list.measured_to as measured_on
from persona_list
cross join share_lists
cross join hour_list
cross join group_list
cross join busiest
cross join {{ ref('agg_engagement_rates') }} as rates
where persona_list.total_count > 0
