-- How many opens are by machines, per week?
select
    vendor, subject_id as week_from, open_count, machine_open_count, possible_machine_open_count,
    round(machine_open_share, 3) as machine_share, round(opened_by_any_share, 3) as opened_by_any,
    round(opened_share, 3) as opened_by_people
from marts.fct_machine_opens
where subject_kind = 'week'
order by vendor, week_from desc
