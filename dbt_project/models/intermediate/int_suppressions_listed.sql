with listed as (

    select
        case suppression_list
            when 'bounces' then 'bounce'
            when 'blocks' then 'block'
            when 'spam_reports' then 'spam_report'
            when 'unsubscribes' then 'unsubscribe'
        end as suppression_kind,
        email,
        listed_at
    from {{ ref('stg_sendgrid__suppressions') }}
    union all
    select 'invalid_email' as suppression_kind, email, listed_at
    from {{ ref('stg_sendgrid__invalid_emails') }}
    union all
    select 'group_unsubscribe' as suppression_kind, email, listed_at
    from {{ ref('stg_sendgrid__group_suppressions') }}

)

select
    suppression_kind,
    {{ person_id('email') }} as person_id,
    suppression_kind in ({{ "'" ~ var('undeliverable_kinds') | join("', '") ~ "'" }}) as is_undeliverable,
    min(listed_at) as listed_at
from listed
where email is not null
group by suppression_kind, email
