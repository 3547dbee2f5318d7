{%- set step = var('persona_share_step') -%}
{%- set interval = ['segments.share_low', 'segments.share_high'] -%}

-- A persona per group of device classes with a large enough share of the account's opens.
with

account as (

    select
        {{ sorted_list(listed('client', 'client', step)) }} as clients,
        {{ sorted_list(listed('country', 'country', step)) }} as countries
    from {{ ref('agg_engagement_shares') }}

),

devices as (

    {% for persona, classes in var('device_personas').items() -%}
    select
        '{{ persona }}' as device_persona,
        {{ text_list(classes) }} as device_classes,
        {{ sorted_list(
            "case when breakdown = 'device' and label in ('" ~ classes | join("', '") ~ "') then "
            ~ record([['share', in_steps('share', step)], ['device', 'label']]) ~ " end"
        ) }} as devices
    from {{ ref('agg_engagement_shares') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    segments.device_persona as entity,
    {{ titled('E-mail readers', 'segments.device_persona') }} as name,
    {{ facts_with_steps([
        ['device_persona', 'segments.device_persona'],
        ['device_classes', 'devices.device_classes'],
        ['window_days', var('engagement_window_days')],
        figure('unique_opens', 'segments.summed_daily_unique_open_count'),
        figure('unique_opens_all', 'segments.total_count'),
        measure('share_of_opens', 'segments.share', step, interval),
        measure('share_low', 'segments.share_low', step, interval),
        measure('share_high', 'segments.share_high', step, interval),
        ['devices', 'devices.devices', {'[].share': step}],
        ['clients', 'account.clients', {'[]': var('listed_from_share'), '[].share': step}],
        ['countries', 'account.countries', {'[]': var('listed_from_share'), '[].share': step}],
        measure('open_rate', 'rates.unique_open_share', 0.01),
        measure('click_rate', 'rates.unique_click_share', 0.01),
    ]) }},
    segments.busiest_day_open_count as person_count,
    {{ no_references() }} as reference_keys,
    segments.measured_to as measured_on
from {{ ref('agg_device_segments') }} as segments
join devices on segments.device_persona = devices.device_persona
cross join account
cross join {{ ref('agg_engagement_rates') }} as rates
where segments.is_persona
