select
    answers.record_id,
    tests.variation_id,
    tests.words,
    tests.tested,
    tests.outcome,
    concat_ws('',
        case tests.criterion when 'click' then 'Clicked by ' else 'Opened by ' end, {{ rate_in_words('tests.criterion_share') }}, ' of ',
        {{ counted('tests.delivered_count') }}, ' delivered'
    ) as says
from {{ ref('fct_ab_tests') }} as tests
join {{ ref('fct_answers') }} as answers
    on answers.record_key = concat_ws('', 'ab-tests:send_', substr(replace(tests.single_send_id, '-', ''), 1, 12))
