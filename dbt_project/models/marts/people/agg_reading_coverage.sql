select
    reading_kind,
    count(*) as event_count,
    count(distinct person_id) as person_count,
    count(device_class) as with_device_count,
    count(country) as with_country_count,
    count(day_part) as with_local_hour_count,
    count(*) filter (where is_own_time_zone) as with_own_time_zone_count,
    count(*) filter (where device_class is not null and country is not null and day_part is not null) as used_event_count,
    min(cast(happened_at as date)) as measured_from,
    max(cast(happened_at as date)) as measured_to
from {{ ref('int_reading_events') }}
group by reading_kind
