with contacts as (

    select * from {{ ref('stg_sendgrid__contacts') }}

),

fields as (

    select * from {{ ref('stg_sendgrid__contact_fields') }}

),

filled as (

    select
        fields.contact_field_id,
        count(*) as contact_count,
        count(distinct trim({{ json_text_at('contacts.custom_fields', 'fields.contact_field_name') }})) as value_count
    from fields
    join contacts
        on nullif(trim({{ json_text_at('contacts.custom_fields', 'fields.contact_field_name') }}), '') is not null
    group by fields.contact_field_id

),

totals as (

    select count(*) as total_contact_count from contacts

)

select
    fields.contact_field_id,
    fields.contact_field_name,
    fields.field_type,
    coalesce(filled.contact_count, 0) as contact_count,
    totals.total_contact_count,
    coalesce(filled.value_count, 0) as value_count,
    {{ share('coalesce(filled.contact_count, 0)', 'totals.total_contact_count') }} as contact_share,
    fields.contact_field_name = '{{ var('contact_role_field') | lower }}' as is_role,
    fields.contact_field_name = '{{ var('contact_industry_field') | lower }}' as is_industry
from fields
cross join totals
left join filled on fields.contact_field_id = filled.contact_field_id
