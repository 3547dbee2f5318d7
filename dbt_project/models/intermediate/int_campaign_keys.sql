-- What an event calls its message is the message's id, or, in many accounts, the campaign's.
select
    campaign_id,
    campaign_message_id as message_id
from {{ ref('stg_klaviyo__campaign_messages') }}

union

select
    campaign_id,
    campaign_id as message_id
from {{ ref('stg_klaviyo__campaigns') }}
