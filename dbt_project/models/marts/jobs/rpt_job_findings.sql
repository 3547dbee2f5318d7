with found as (

    {% for job in var('jobs') -%}
    select '{{ job }}' as job, vendor, finding
    from {{ ref((job ~ '__finding') | replace('-', '_')) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select
    found.job,
    case
        when not vendors.has_key then concat_ws('', 'No ', vendors.vendor_name, ' key')
        when not vendors.is_read then concat_ws('', 'Nothing read from ', vendors.vendor_name, ' yet')
        else found.finding
    end as finding
from found
join {{ ref('dim_vendors') }} as vendors on found.vendor = vendors.vendor
