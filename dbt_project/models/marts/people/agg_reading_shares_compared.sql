-- Two separate measurements, never crossed: people with known single events, and SendGrid's sums of all its opens. They differ in
-- the people, the events and the days; the columns say so.
with places as (

    select
        country,
        max(segment_person_count) as person_count,
        max(measured_from) as measured_from,
        max(measured_to) as measured_to
    from {{ ref('agg_reading_habits') }}
    where segment_kind = 'everybody' and region = 'all'
    group by country

),

people as (

    select
        'device' as breakdown,
        device_class as label,
        person_count,
        segment_person_count as total_person_count,
        measured_from,
        measured_to
    from {{ ref('agg_reading_habits') }}
    where segment_kind = 'everybody' and country = 'all' and device_class <> 'any' and day_part = 'any'
    union all
    select
        'country' as breakdown,
        countries.country as label,
        countries.person_count,
        account.person_count as total_person_count,
        countries.measured_from,
        countries.measured_to
    from places as countries
    join places as account on account.country = 'all'
    where countries.country <> 'all'

),

opens as (

    select
        breakdown,
        case
            when breakdown = 'country' then label
            {%- for device_class, labels in var('sendgrid_device_classes').items() %}
            when label in ('{{ labels | join("', '") }}') then '{{ device_class }}'
            {%- endfor %}
            else 'not told'
        end as label,
        cast(sum(summed_daily_count) as bigint) as open_count,
        max(total_count) as total_open_count,
        min(measured_from) as opens_measured_from,
        max(measured_to) as opens_measured_to
    from {{ ref('agg_engagement_shares') }}
    where breakdown in ('device', 'country')
    group by 1, 2

)

select
    coalesce(people.breakdown, opens.breakdown) as breakdown,
    coalesce(people.label, opens.label) as label,
    people.person_count,
    people.total_person_count,
    opens.open_count,
    opens.total_open_count,
    {{ share_with_interval('people.person_count', 'people.total_person_count', 'person_share') }},
    {{ share_with_interval('opens.open_count', 'opens.total_open_count', 'open_share') }},
    coalesce(people.total_person_count, 0) >= {{ var('small_sample') }} as is_measured,
    people.measured_from,
    people.measured_to,
    opens.opens_measured_from,
    opens.opens_measured_to
from people
full join opens on people.breakdown = opens.breakdown and people.label = opens.label
