{%- set consents = {
    'subscribed_to_email': ['email', 'subscribed'],
    'unsubscribed_from_email': ['email', 'unsubscribed'],
    'subscribed_to_texts': ['sms', 'subscribed'],
    'unsubscribed_from_texts': ['sms', 'unsubscribed'],
} -%}

with observed as (

    select * from {{ ref('int_observed') }} where kind = 'consent'

),

firsts as (

    select * from observed where observation_number = 1

),

events as (

    select
        events.customer_id,
        case metrics.metric_role
            {%- for role, (channel, consent) in consents.items() %}
            when '{{ role }}' then '{{ channel }}'
            {%- endfor %}
        end as channel,
        case metrics.metric_role
            {%- for role, (channel, consent) in consents.items() %}
            when '{{ role }}' then '{{ consent }}'
            {%- endfor %}
        end as consent,
        events.happened_at
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    where metrics.metric_role in ('{{ consents | join("', '") }}') and events.customer_id is not null

),

-- Events of before the history, the date of the consent that it began with, and what has changed since.
told as (

    select
        events.customer_id,
        events.channel,
        events.consent,
        cast(null as {{ dbt.type_string() }}) as observed_before,
        'event' as told_by,
        events.happened_at as changed_at
    from events
    left join firsts on events.customer_id = firsts.subject_id and events.channel = firsts.dimension_id
    where coalesce(events.happened_at < firsts.observed_at, true)
    union all
    select
        subject_id as customer_id,
        dimension_id as channel,
        value as consent,
        cast(null as {{ dbt.type_string() }}) as observed_before,
        'profile' as told_by,
        happened_at as changed_at
    from firsts
    where value is not null and happened_at is not null
    union all
    select
        subject_id as customer_id,
        dimension_id as channel,
        value as consent,
        value_before as observed_before,
        'observed' as told_by,
        changed_at
    from observed
    where observation_number > 1 and value is not null

),

ordered as (

    select
        *,
        lag(consent) over (partition by customer_id, channel order by changed_at, told_by, consent) as told_before
    from told

),

changes as (

    select
        customer_id,
        channel,
        coalesce(observed_before, told_before) as consent_before,
        consent as consent_after,
        told_by,
        changed_at
    from ordered
    where coalesce(observed_before, told_before, '') <> consent

)

select
    changes.customer_id,
    people.person_id,
    changes.channel,
    changes.consent_before,
    changes.consent_after,
    changes.told_by,
    cast(row_number() over (
        partition by changes.customer_id, changes.channel order by changes.changed_at, changes.told_by, changes.consent_after
    ) as bigint) as change_number,
    cast(changes.changed_at as date) as changed_on,
    changes.changed_at
from changes
left join {{ ref('int_customers_consented') }} as people on changes.customer_id = people.customer_id
