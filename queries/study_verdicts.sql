-- Which hypotheses did the focus groups confirm, and how sure is that?
select
    record_key, hypothesis, verdict, confirming_count, answer_count, round(confirming_share, 2) as confirming_share,
    round(confirming_share_low, 2) as low, round(confirming_share_high, 2) as high, confirmed_above
from marts.fct_study_verdicts
where is_deciding and asked = 'all'
order by record_key
