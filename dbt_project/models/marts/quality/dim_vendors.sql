{#- The resource with each vendor's people, and its model: a key may lack the scope for it. -#}
{%- set vendors = [
    ('sendgrid', 'SendGrid', 'contacts', 'stg_sendgrid__contacts'),
    ('wistia', 'Wistia', 'events', 'stg_wistia__viewing_events'),
    ('klaviyo', 'Klaviyo', 'profiles', 'stg_klaviyo__profiles'),
] -%}

with listed as (

    {% for vendor, name, resource, model in vendors -%}
    select '{{ vendor }}' as vendor, '{{ name }}' as vendor_name, '{{ resource }}' as people_resource, count(*) as row_count
    from {{ ref(model) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

loads as (

    select vendor, resource, max(case when outcome = 'loaded' then finished_at end) as last_loaded_at
    from {{ ref('stg_operations__loads') }}
    group by vendor, resource

)

select
    listed.vendor,
    listed.vendor_name,
    listed.row_count > 0 or count(loads.vendor) > 0 as has_key,
    listed.row_count > 0 or max(loads.last_loaded_at) is not null as is_read,
    listed.row_count > 0
        or max(case when loads.resource = listed.people_resource then loads.last_loaded_at end) is not null as is_people_read,
    max(loads.last_loaded_at) as last_loaded_at
from listed
left join loads on listed.vendor = loads.vendor
group by listed.vendor, listed.vendor_name, listed.row_count
