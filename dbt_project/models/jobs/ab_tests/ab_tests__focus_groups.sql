-- A study of why the worse variation lost, for each of the latest A/B tests with a significant loser; asked of SG-1's personas.
with

days as (

    select max(happened_on) as measured_to
    from {{ ref('fct_engagement_daily') }}

),

reader_list as (

    select {{ sorted_list("concat_ws('', 'device-geography:', device_persona)") }} as persona_keys
    from {{ ref('agg_device_segments') }}
    where is_persona

),

-- Several variations may perform equally well or badly: one of them represents all.
compared as (

    select
        loser.*,
        winner.words as winner_words,
        winner.delivered_count as winner_delivered_count,
        winner.criterion_share as winner_share,
        days.measured_to,
        row_number() over (partition by loser.single_send_id order by winner.variation_id, loser.variation_id) as choice
    from {{ ref('fct_ab_tests') }} as loser
    join {{ ref('fct_ab_tests') }} as winner on loser.single_send_id = winner.single_send_id
    cross join days
    where loser.outcome = 'loser'
        and winner.outcome = 'winner'
        -- Without two different texts there is no question.
        and loser.words <> winner.words
        and {{ dbt.datediff('loser.sent_at', 'days.measured_to', 'day') }} >= {{ var('ab_settled_days') }}

),

ranked as (

    select
        *,
        row_number() over (order by sent_at desc, single_send_id) as recency
    from compared
    where choice = 1

)

select
    -- Part of the UUID identifies single sends; a complete one would be withheld, because it could be a person's.
    concat_ws('', 'send_', substr(replace(ranked.single_send_id, '-', ''), 1, 12)) as entity,
    concat_ws('', 'Says too little: ', {{ label('ranked.single_send_name') }}) as name,
    {{ facts_with_steps([
        ['tested', 'ranked.tested'],
        ['criterion', 'ranked.criterion'],
        ['loser_words', 'ranked.words'],
        ['winner_words', 'ranked.winner_words'],
        figure('loser_delivered_count', 'ranked.delivered_count'),
        figure('winner_delivered_count', 'ranked.winner_delivered_count'),
        measure('loser_share', 'ranked.criterion_share', 0.01),
        measure('winner_share', 'ranked.winner_share', 0.01),
        measure('p_value', 'ranked.p_value', 0.01, told=0.001),
    ]) }},
    least(ranked.delivered_count, ranked.winner_delivered_count) as person_count,
    to_json(reader_list.persona_keys) as reference_keys,
    ranked.measured_to as measured_on
from ranked
cross join reader_list
where ranked.recency <= {{ var('asked_ab_tests') }}
