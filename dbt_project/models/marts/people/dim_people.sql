with undeliverable as (

    select distinct person_id
    from {{ ref('int_suppressions_listed') }}
    where is_undeliverable

),

-- Several profiles may share an address: it may be mailed only if each of them may.
consents as (

    select
        person_id,
        case when min(case when has_email_consent then 1 else 0 end) = 1 then 'given' else 'not_given' end as email_consent,
        case when min(case when has_sms_consent then 1 else 0 end) = 1 then 'given' else 'not_given' end as sms_consent
    from {{ ref('int_customers_consented') }}
    where person_id is not null
    group by person_id

),

-- What the person's browsers and profiles did on each channel and in the shop.
deeds as (

    select
        person_id,
        channel as touched_on,
        happened_at
    from {{ ref('fct_customer_events') }}
    where person_id is not null
        and not is_automatic
        and (metric_role {{ in_roles('opened') }} or metric_role {{ in_roles('clicked') }})

    union all

    select
        person_id,
        'video' as touched_on,
        viewed_at as happened_at
    from {{ ref('fct_viewing_sessions') }}
    where person_id is not null

),

touched as (

    select
        person_id,
        {% for channel in ['email', 'sms', 'video'] -%}
        min(case when touched_on = '{{ channel }}' then happened_at end) as first_{{ channel }}_touch_at,
        max(case when touched_on = '{{ channel }}' then happened_at end) as last_{{ channel }}_touch_at{{ ',' if not loop.last }}
        {% endfor %}
    from deeds
    group by person_id

),

bought as (

    select
        person_id,
        count(*) as order_count,
        sum(case when is_account_currency then gross_amount end) as revenue,
        sum(case when is_account_currency then net_amount end) as net_revenue,
        sum(case when is_account_currency and attributed_message_count > 0 then gross_amount end) as attributed_revenue,
        min(ordered_at) as first_ordered_at,
        max(ordered_at) as last_ordered_at
    from {{ ref('fct_orders') }}
    where person_id is not null
    group by person_id

),

judged as (

    select
        people.*,
        coalesce(consents.email_consent, 'unknown') as email_consent,
        coalesce(consents.sms_consent, 'unknown') as sms_consent,
        undeliverable.person_id is not null as is_undeliverable
    from {{ ref('int_people_matched') }} as people
    left join undeliverable on people.person_id = undeliverable.person_id
    left join consents on people.person_id = consents.person_id

)

select
    judged.person_id,
    judged.email_consent,
    judged.sms_consent,
    account.currency,
    cast(judged.viewer_count as bigint) as viewer_count,
    cast(judged.customer_count as bigint) as customer_count,
    cast(judged.contact_count as bigint) as contact_count,
    coalesce(bought.order_count, 0) as order_count,
    cast(coalesce(bought.revenue, 0) as decimal(18, 2)) as revenue,
    cast(coalesce(bought.net_revenue, 0) as decimal(18, 2)) as net_revenue,
    cast(coalesce(bought.attributed_revenue, 0) as decimal(18, 2)) as attributed_revenue,
    cast(coalesce(bought.revenue, 0) - coalesce(bought.attributed_revenue, 0) as decimal(18, 2)) as organic_revenue,
    judged.viewer_count > 0 as has_wistia,
    judged.customer_count > 0 as has_klaviyo,
    judged.contact_count > 0 as has_sendgrid,
    judged.is_undeliverable,
    judged.email_consent in ('{{ var('mailed_consents') | join("', '") }}') and not judged.is_undeliverable as may_be_mailed,
    {% for channel in ['email', 'sms', 'video'] -%}
    touched.first_{{ channel }}_touch_at,
    touched.last_{{ channel }}_touch_at,
    {% endfor -%}
    bought.first_ordered_at,
    bought.last_ordered_at
from judged
cross join {{ ref('int_account_currency') }} as account
left join touched on judged.person_id = touched.person_id
left join bought on judged.person_id = bought.person_id
