-- An event's message key is the message's id or, in many accounts, the campaign's. An id that is both is the message's.
select
    campaign_id,
    campaign_message_id as message_id
from {{ ref('stg_klaviyo__campaign_messages') }}

union all

select
    campaigns.campaign_id,
    campaigns.campaign_id as message_id
from {{ ref('stg_klaviyo__campaigns') }} as campaigns
left join {{ ref('stg_klaviyo__campaign_messages') }} as messages on campaigns.campaign_id = messages.campaign_message_id
where messages.campaign_message_id is null
