-- What was put in place, and did it help?
select
    title, measure, outcome, round(before_share, 3) as before, before_count, round(after_share, 3) as after, after_count,
    round(aim_share, 3) as peers, known_by, note, put_in_at
from marts.fct_experiments
order by put_in_at desc, record_id, measure
