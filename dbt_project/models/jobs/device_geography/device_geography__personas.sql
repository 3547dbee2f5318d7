{%- set step = var('persona_share_step') -%}
{%- set interval = ['segments.share_low', 'segments.share_high'] -%}

-- A persona per group of device classes with a large enough share of the account's opens.
with

segments as (

    select * from {{ ref('agg_device_segments') }} where is_persona

),

compared as (

    {{ groups_compared('device-geography', 'segments', 'device_persona', [], {
        'reading_hours': 'day_part', 'reading_roles': 'role', 'reading_segments': 'segment', 'reading_countries': 'country',
    }) }}

),

-- The classes of device of each persona, and the mail programs that run on them, as parts of the persona's own opens.
parts as (

    {% for persona, classes in var('device_personas').items() -%}
    select '{{ persona }}' as device_persona, breakdown, label, summed_daily_count
    from {{ ref('agg_engagement_shares') }}
    where (breakdown = 'device' and label in ('{{ classes | join("', '") }}'))
        or (breakdown = 'client' and label in ('{{ var('device_persona_clients').get(persona, []) | join("', '") }}'))
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

shared as (

    select
        *,
        {{ share('summed_daily_count', 'sum(summed_daily_count) over (partition by device_persona, breakdown)') }} as share
    from parts

),

part_lists as (

    select
        device_persona,
        {{ sorted_list(listed('device', 'device', step)) }} as device_parts,
        {{ sorted_list(listed('client', 'mail_program', step)) }} as mail_programs
    from shared
    group by device_persona

)

select
    segments.device_persona as entity,
    {{ called('segments.device_persona', {
        'mobile_first': 'Mobile First: read on the phone, between other things',
        'desktop_focused': 'Desk Readers: open mail at a computer',
        'hybrid': 'Browser Readers: webmail on any screen',
    }, 'E-mail Readers') }} as name,
    {{ facts_with_steps([
        ['device_persona', 'segments.device_persona'],
        ['window_days', var('engagement_window_days')],
        figure('unique_opens', 'segments.summed_daily_unique_open_count'),
        measure('share_of_opens', 'segments.share', step, interval),
        ['device_parts', 'part_lists.device_parts', {'[]': var('listed_from_share'), '[].share': step}],
        ['mail_programs', 'part_lists.mail_programs', {'[]': var('listed_from_share'), '[].share': step}],
        set_apart('apart'),
        leaning('reading_hours'),
        leaning('reading_roles'),
        leaning('reading_segments'),
        leaning('reading_countries'),
    ]) }},
    segments.busiest_day_open_count as person_count,
    {{ no_references() }} as reference_keys,
    segments.measured_to as measured_on
from segments
join compared on segments.device_persona = compared.entity
left join part_lists on segments.device_persona = part_lists.device_persona
