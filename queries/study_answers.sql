-- What did each persona say to each question of a study?
select record_key, question_number, question, coalesce(persona_name, 'all') as persona, top_answer, top_count, answer_count, outcome
from marts.fct_study_verdicts
order by record_key, question_number, asked <> 'all', persona_name
