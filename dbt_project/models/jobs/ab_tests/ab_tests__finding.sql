select
    'sendgrid' as vendor,
    coalesce(
        case
            when count(*) = 0 then null
            when count(*) = count(*) filter (where outcome = 'undecided')
                then concat_ws('', 'None of ', {{ one_or_many('count(distinct single_send_id)', 'A/B test', 'A/B tests') }}, ' could be decided')
            else concat_ws('',
                {{ counted("count(distinct case when outcome = 'loser' then single_send_id end)") }}, ' of ',
                {{ one_or_many('count(distinct single_send_id)', 'A/B test has', 'A/B tests have') }}, ' a losing variation'
            )
        end,
        'No A/B tests yet'
    ) as finding
from {{ ref('fct_ab_tests') }}
