-- What did each job cost in Mavera, and what came back?
select
    job, finding, standing_count, waiting_count, credits, persona_count, analysis_count,
    respondent_answer_count, text_count
from marts.rpt_job_results
order by credits desc, job
