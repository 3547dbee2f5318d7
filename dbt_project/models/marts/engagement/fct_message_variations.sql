-- A person may get both variations of a flow's message at different times: each counts.
with recipients as (

    select
        message_kind,
        sent_message_id as message_id,
        variation_id,
        customer_id,
        max(case when metric_role {{ in_roles('received') }} then 1 else 0 end) as is_received,
        max(case when metric_role {{ in_roles('opened') }} and not is_automatic then 1 else 0 end) as is_opened,
        max(case when metric_role {{ in_roles('clicked') }} and not is_automatic then 1 else 0 end) as is_clicked,
        max(case when metric_role = 'unsubscribed_from_email' then 1 else 0 end) as is_unsubscribed,
        min(case when metric_role {{ in_roles('received') }} then happened_at end) as received_at
    from {{ ref('int_message_events') }}
    where variation_id is not null and message_kind <> 'other'
    group by message_kind, sent_message_id, variation_id, customer_id

),

variations as (

    select
        message_kind,
        message_id,
        variation_id,
        count(*) as recipient_count,
        cast(sum(is_opened) as bigint) as opened_count,
        cast(sum(is_clicked) as bigint) as clicked_count,
        cast(sum(is_unsubscribed) as bigint) as unsubscribed_count,
        min(received_at) as first_received_at,
        max(received_at) as last_received_at
    from recipients
    where is_received = 1
    group by message_kind, message_id, variation_id

),

-- Opens are partly by machines that nobody marks, so clicks decide.
ranked as (

    select
        *,
        {{ share('clicked_count', 'recipient_count') }} as clicked_share,
        count(*) over (partition by message_kind, message_id) as variation_count,
        min(recipient_count) over (partition by message_kind, message_id) as least_recipient_count,
        row_number() over (
            partition by message_kind, message_id
            order by {{ share('clicked_count', 'recipient_count') }} desc, variation_id
        ) as best_first
    from variations

),

compared as (

    select
        best.message_kind,
        best.message_id,
        best.clicked_share as best_share,
        worst.clicked_share as worst_share,
        least(1, best.variation_count * (best.variation_count - 1) / 2 * {{ two_sided_p('pairs.z_score') }}) as p_value
    from ranked as best
    join ranked as worst
        on best.message_kind = worst.message_kind
        and best.message_id = worst.message_id
        and worst.best_first = worst.variation_count
    join (
        select
            best.message_kind,
            best.message_id,
            {{ two_proportion_z('best.clicked_count', 'best.recipient_count', 'worst.clicked_count', 'worst.recipient_count') }} as z_score
        from ranked as best
        join ranked as worst
            on best.message_kind = worst.message_kind
            and best.message_id = worst.message_id
            and worst.best_first = worst.variation_count
        where best.best_first = 1
    ) as pairs on best.message_kind = pairs.message_kind and best.message_id = pairs.message_id
    where best.best_first = 1

),

names as (

    select 'campaign' as message_kind, campaign_id as message_id, campaign_name as message_name from {{ ref('stg_klaviyo__campaigns') }}
    union all
    select 'flow_message' as message_kind, flow_message_id as message_id, message_name from {{ ref('stg_klaviyo__flow_messages') }}

)

select
    ranked.message_kind,
    ranked.message_id,
    ranked.variation_id,
    names.message_name,
    case
        when ranked.variation_count < 2 or ranked.least_recipient_count < {{ var('ab_delivered_from') }} then 'undecided'
        when compared.p_value >= {{ var('ab_p_below') }} then 'tie'
        when ranked.clicked_share = compared.best_share then 'winner'
        when ranked.clicked_share = compared.worst_share then 'loser'
        else 'between'
    end as outcome,
    ranked.recipient_count,
    ranked.opened_count,
    ranked.clicked_count,
    ranked.unsubscribed_count,
    ranked.variation_count,
    {{ share_with_interval('ranked.opened_count', 'ranked.recipient_count', 'opened_share') }},
    {{ share_with_interval('ranked.clicked_count', 'ranked.recipient_count', 'clicked_share') }},
    case when ranked.variation_count > 1 then compared.p_value end as p_value,
    {{ is_small('ranked.recipient_count') }} as is_small_sample,
    ranked.first_received_at,
    ranked.last_received_at
from ranked
join compared on ranked.message_kind = compared.message_kind and ranked.message_id = compared.message_id
left join names on ranked.message_kind = names.message_kind and ranked.message_id = names.message_id
