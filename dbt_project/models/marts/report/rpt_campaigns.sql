with messages as (

    select count(*) filter (where is_compared) as compared_message_count
    from {{ ref('fct_flow_messages') }}
    where received_count > 0

),

pairs as (

    select
        count(*) as channel_pair_count,
        count(*) filter (where click_outcome = 'sms') as text_win_count,
        count(*) filter (where click_outcome = 'email') as email_win_count,
        count(*) filter (where click_outcome not in ('sms', 'email')) as undecided_pair_count
    from {{ ref('agg_channel_pairs') }}

)

select
    'Campaigns' as section,
    messages.compared_message_count,
    pairs.channel_pair_count,
    pairs.text_win_count,
    pairs.email_win_count,
    pairs.undecided_pair_count
from messages
cross join pairs
