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
    ]) }},
    cast(busiest.daily_unique_open_count as bigint) as person_count,
    {{ no_references() }} as reference_keys,
    persona_list.measured_to as measured_on
from persona_list
cross join share_lists
cross join busiest
cross join {{ ref('agg_engagement_rates') }} as rates
where persona_list.total_count > 0
