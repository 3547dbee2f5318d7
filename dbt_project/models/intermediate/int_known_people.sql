with named as (

    select first_name, last_name from {{ ref('stg_klaviyo__profiles') }}
    union all
    select first_name, last_name from {{ ref('stg_sendgrid__contacts') }}
    union all
    select viewer_name as first_name, cast(null as {{ dbt.type_string() }}) as last_name from {{ ref('stg_wistia__visitors') }}
    union all
    select conversion_first_name as first_name, conversion_last_name as last_name from {{ ref('stg_wistia__viewing_events') }}
    where conversion_first_name is not null

),

written as (

    select trim(concat(coalesce(first_name, ''), ' ', coalesce(last_name, ''))) as full_name
    from named

),

-- Somebody with three names is also called by the first and the last of them.
names as (

    select full_name as known_by from written
    union
    select concat(split_part(full_name, ' ', 1), ' ', split_part(full_name, ' ', -1)) as known_by from written
    where full_name like '_% _%'

),

keys as (

    select customer_id as known_by from {{ ref('stg_klaviyo__profiles') }}
    union
    select external_id as known_by from {{ ref('stg_klaviyo__profiles') }}
    union
    select contact_id as known_by from {{ ref('stg_sendgrid__contacts') }}
    union
    select viewer_id as known_by from {{ ref('stg_wistia__visitors') }}

)

select known_by, 'name' as kind
from names
where known_by like '_% _%'
{%- for name in var('names_of_nobody') %}
    and lower(known_by) <> '{{ name }}'
{%- endfor %}
union all
select known_by, 'key' as kind
from keys
where known_by is not null
