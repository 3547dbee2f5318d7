-- Spelled with letters and digits only, so that "Health, Care" and "health-care " are one industry.
with stated as (

    select
        *,
        {{ slug(json_text('custom_fields', var('contact_role_field') | lower)) }} as role_slug,
        {{ slug(json_text('custom_fields', var('contact_industry_field') | lower)) }} as industry_slug
    from {{ ref('stg_sendgrid__contacts') }}

)

select
    contact_id,
    {{ person_id('email') }} as person_id,
    case
        when role_slug is not null and industry_slug is not null then concat_ws('', role_slug, '/', industry_slug)
    end as contact_group,
    replace(role_slug, '-', ' ') as role,
    replace(industry_slug, '-', ' ') as industry,
    updated_at
from stated
