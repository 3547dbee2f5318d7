with told as (

    select
        events.customer_event_id,
        events.customer_id,
        events.flow_id,
        events.variation_id,
        events.link,
        events.bounce_type,
        metrics.metric_role,
        case
            when events.flow_id is not null and events.message_id is not null then 'flow_message'
            when campaigns.campaign_id is not null then 'campaign'
            else 'other'
        end as message_kind,
        case
            when events.flow_id is not null then events.message_id
            else campaigns.campaign_id
        end as sent_message_id,
        -- Some events lack it; addresses may be loaded as hashes.
        coalesce(
            events.email_domain,
            case when profiles.email like '%@%' then {{ dbt.split_part('profiles.email', "'@'", 2) }} end
        ) as email_domain,
        events.is_automatic,
        events.happened_at
    from {{ ref('stg_klaviyo__events') }} as events
    join {{ ref('int_metric_roles') }} as metrics on events.metric_id = metrics.metric_id
    left join {{ ref('int_campaign_keys') }} as campaigns on events.message_id = campaigns.message_id
    left join {{ ref('stg_klaviyo__profiles') }} as profiles
        on events.customer_id = profiles.customer_id and events.email_domain is null
    where metrics.metric_role {{ in_roles('received') }}
        or metrics.metric_role {{ in_roles('opened') }}
        or metrics.metric_role {{ in_roles('clicked') }}
        or metrics.metric_role in (
            'bounced_email', 'dropped_email', 'marked_email_as_spam', 'unsubscribed_from_email', 'unsubscribed_from_texts'
        )

)

select
    told.customer_event_id,
    told.customer_id,
    told.message_kind,
    told.sent_message_id,
    told.flow_id,
    told.variation_id,
    told.link,
    told.metric_role,
    coalesce(domains.mailbox_provider, 'Other') as mailbox_provider,
    told.bounce_type,
    told.is_automatic,
    told.happened_at
from told
left join {{ ref('int_mailbox_domains') }} as domains on told.email_domain = domains.email_domain
