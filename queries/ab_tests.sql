-- Which variations won our A/B tests, and by how much?
select
    single_send_name, tested, words, outcome, delivered_count, round(criterion_share, 3) as criterion_share,
    round(p_value, 4) as p_value
from marts.fct_ab_tests
order by sent_at desc, single_send_name, outcome = 'loser', words
