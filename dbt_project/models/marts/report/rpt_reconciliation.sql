select
    vendor,
    subject_kind,
    measure,
    count(*) filter (where verdict = 'within') as within_count,
    count(*) filter (where verdict = 'outside') as outside_count,
    count(*) filter (where verdict = 'not compared') as not_compared_count
from {{ ref('fct_reconciliation') }}
where not is_total
group by vendor, subject_kind, measure
