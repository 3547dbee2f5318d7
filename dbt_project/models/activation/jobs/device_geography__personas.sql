{%- set step = var('persona_share_step') -%}

-- A persona per group of device classes whose share of the account's opens is large enough.
with

account as (

    select
        {{ sorted_list(listed('client', 'client', step)) }} as clients,
        {{ sorted_list(listed('country', 'country', step)) }} as countries
    from {{ ref('engagement_shares') }}

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
    from {{ ref('engagement_shares') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    segments.device_persona as entity,
    {{ titled('E-mail readers', 'segments.device_persona') }} as name,
    {{ json_build([
        ['device_persona', 'segments.device_persona'],
        ['device_classes', 'devices.device_classes'],
        ['window_days', var('engagement_window_days')],
        ['unique_opens', two_digits('segments.summed_daily_unique_open_count')],
        ['unique_opens_all', two_digits('segments.total_count')],
        ['share_of_opens', in_steps('segments.share', step)],
        ['share_low', in_steps('segments.share_low', step)],
        ['share_high', in_steps('segments.share_high', step)],
        ['devices', 'devices.devices'],
        ['clients', 'account.clients'],
        ['countries', 'account.countries'],
        ['open_rate', in_steps('rates.unique_open_share', 0.01)],
        ['click_rate', in_steps('rates.unique_click_share', 0.01)],
    ]) }} as facts,
    segments.busiest_day_open_count as person_count,
    {{ no_references() }} as reference_keys,
    segments.measured_to as measured_on
from {{ ref('device_segments') }} as segments
join devices on segments.device_persona = devices.device_persona
cross join account
cross join {{ ref('engagement_rates') }} as rates
where segments.is_persona
