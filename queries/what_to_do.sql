-- What did Mavera recommend, and what do we do with each answer?
select job, title, recommendation, to_do, credits, answered_at
from marts.fct_answers
where kind <> 'personas'
order by job, record_id
