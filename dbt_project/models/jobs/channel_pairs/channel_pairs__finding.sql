{%- set pairs = 'count(*)' -%}
{%- set texts = "count(*) filter (where click_outcome = 'sms')" -%}
{%- set mails = "count(*) filter (where click_outcome = 'email')" -%}

select
    'klaviyo' as vendor,
    case
        when {{ pairs }} = 0 then 'No campaign ran on both channels'
        when {{ texts }} + {{ mails }} = 0
            then concat_ws('', 'Neither channel clearly beats the other in any of ', {{ one_or_many(pairs, 'campaign pair', 'campaign pairs') }})
        else concat_ws('',
            'Text messages beat e-mail in ', case when {{ texts }} = 0 then 'none' else {{ counted(texts) }} end, ' of ',
            {{ one_or_many(pairs, 'campaign pair', 'campaign pairs') }}, '; e-mail in ',
            case when {{ mails }} = 0 then 'none' else {{ counted(mails) }} end
        )
    end as finding
from {{ ref('agg_channel_pairs') }}
