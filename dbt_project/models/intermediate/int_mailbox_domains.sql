-- Klaviyo writes the provider of each recipient's mailbox beside the domain: so domains of companies are known as well.
with told as (

    select email_domain, inbox_provider, count(*) as event_count
    from {{ ref('stg_klaviyo__events') }}
    where email_domain is not null and inbox_provider is not null
    group by email_domain, inbox_provider

),

ranked as (

    select
        told.email_domain,
        coalesce(names.mailbox_provider, told.inbox_provider) as mailbox_provider,
        row_number() over (partition by told.email_domain order by told.event_count desc, told.inbox_provider) as choice
    from told
    left join {{ ref('mailbox_providers') }} as names on lower(told.inbox_provider) = names.written

)

select written as email_domain, mailbox_provider
from {{ ref('mailbox_providers') }}
where written like '%.%'
union all
select ranked.email_domain, ranked.mailbox_provider
from ranked
left join {{ ref('mailbox_providers') }} as names on ranked.email_domain = names.written
where ranked.choice = 1 and names.written is null
