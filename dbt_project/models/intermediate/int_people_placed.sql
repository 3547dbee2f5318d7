with known_zones as (

    select distinct time_zone from {{ ref('time_zone_offsets') }}

),

profiles as (

    select
        {{ person_id('profiles.email') }} as person_id,
        profiles.country,
        profiles.region,
        known_zones.time_zone,
        row_number() over (partition by profiles.email order by profiles.updated_at desc, profiles.customer_id) as recency
    from {{ ref('stg_klaviyo__profiles') }} as profiles
    left join known_zones on profiles.timezone = known_zones.time_zone
    where profiles.email is not null

),

browsers as (

    select
        {{ person_id('email') }} as person_id,
        country,
        region,
        row_number() over (partition by email order by play_count desc, viewer_id) as usage_position
    from {{ ref('int_viewers_identified') }}
    where email is not null

),

zones as (

    select country, region, time_zone, count(*) as person_count
    from profiles
    where recency = 1 and time_zone is not null and country is not null and region is not null
    group by country, region, time_zone

),

zones_compared as (

    select
        country,
        region,
        time_zone,
        {{ share('person_count', 'sum(person_count) over (partition by country, region)') }} as person_share,
        sum(person_count) over (partition by country, region) as placed_person_count
    from zones

),

-- The time zone of nearly everybody in a region; a region with two of them has none.
zones_of_regions as (

    select country, region, time_zone
    from zones_compared
    where person_share >= {{ var('time_zone_from_share') }} and placed_person_count >= {{ var('small_sample') }}

),

placed as (

    select
        people.person_id,
        coalesce(profiles.country, browsers.country) as country,
        case when profiles.country is not null then profiles.region else browsers.region end as region,
        profiles.time_zone
    from {{ ref('int_people_matched') }} as people
    left join profiles on people.person_id = profiles.person_id and profiles.recency = 1
    left join browsers on people.person_id = browsers.person_id and browsers.usage_position = 1

)

select
    placed.person_id,
    placed.country,
    placed.region,
    coalesce(placed.time_zone, zones_of_regions.time_zone) as time_zone,
    placed.time_zone is not null as is_own_time_zone
from placed
left join zones_of_regions
    on placed.country = zones_of_regions.country and placed.region = zones_of_regions.region
