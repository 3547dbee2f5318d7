with parts as (

    select
        sends.single_send_id,
        stats.variation_id,
        sends.single_send_name,
        {{ json_text('sends.ab_test_settings', 'type') }} as tested,
        -- A winner picked by hand is judged as most are, by opens.
        case when {{ json_text('sends.ab_test_settings', 'winner_criteria') }} = 'click' then 'click' else 'open' end
            as criterion,
        stats.ab_phase,
        stats.delivered_count,
        stats.unique_open_count,
        stats.unique_click_count,
        sends.sent_at
    from {{ ref('stg_sendgrid__single_sends') }} as sends
    join {{ ref('stg_sendgrid__single_send_variation_stats') }} as stats
        on sends.single_send_id = stats.single_send_id
    where sends.is_ab_test
        and stats.variation_id <> 'all'

),

rest as (

    select
        single_send_id,
        variation_id
    from parts
    where ab_phase = 'send'
        and delivered_count > 0

),

-- Sends to the rest are not part of the test: those recipients had no other variation for comparison. Variations that nobody
-- received are left out.
tested as (

    select
        *,
        case when criterion = 'click' then unique_click_count else unique_open_count end as criterion_count,
        count(*) over (partition by single_send_id) as variation_count,
        min(delivered_count) over (partition by single_send_id) as least_delivered_count
    from parts
    where ab_phase = 'test'
        and delivered_count > 0

),

ranked as (

    select
        *,
        {{ share('criterion_count', 'delivered_count') }} as criterion_share,
        row_number() over (
            partition by single_send_id
            order by {{ share('criterion_count', 'delivered_count') }} desc, variation_id
        ) as best_first
    from tested

),

compared as (

    select
        best.single_send_id,
        best.criterion_share as best_share,
        worst.criterion_share as worst_share,
        best.variation_count * (best.variation_count - 1) / 2 as pair_count,
        {{ two_proportion_z(
            'best.criterion_count', 'best.delivered_count', 'worst.criterion_count', 'worst.delivered_count'
        ) }} as z_score
    from ranked as best
    join ranked as worst
        on best.single_send_id = worst.single_send_id
        and worst.best_first = worst.variation_count
    where best.best_first = 1

),

-- The best and the worst of several were not chosen before the test: each possible pair counts.
judged as (

    select
        *,
        least(1, pair_count * {{ two_sided_p('z_score') }}) as p_value
    from compared

)

select
    ranked.single_send_id,
    ranked.variation_id,
    ranked.single_send_name,
    ranked.tested,
    nullif(substr(
        case when ranked.tested = 'content' then words.plain_text else words.subject end,
        1, {{ var('variation_words_characters') }}
    ), '') as words,
    ranked.criterion,
    case
        when ranked.variation_count < 2 or ranked.least_delivered_count < {{ var('ab_delivered_from') }}
            then 'undecided'
        when judged.p_value >= {{ var('ab_p_below') }} then 'tie'
        when ranked.criterion_share = judged.best_share then 'winner'
        when ranked.criterion_share = judged.worst_share then 'loser'
        else 'between'
    end as outcome,
    ranked.delivered_count,
    ranked.unique_open_count,
    ranked.unique_click_count,
    ranked.criterion_count,
    ranked.variation_count,
    ranked.criterion_share,
    {{ interval('ranked.criterion_count', 'ranked.delivered_count', 'criterion_share') }},
    case when ranked.variation_count > 1 then judged.z_score end as z_score,
    case when ranked.variation_count > 1 then judged.p_value end as p_value,
    rest.variation_id is not null as is_sent_to_rest,
    {{ is_small('ranked.delivered_count') }} as is_small_sample,
    ranked.sent_at
from ranked
join judged on ranked.single_send_id = judged.single_send_id
left join {{ ref('int_ab_variations_worded') }} as words on ranked.variation_id = words.variation_id
left join rest
    on ranked.single_send_id = rest.single_send_id
    and ranked.variation_id = rest.variation_id
