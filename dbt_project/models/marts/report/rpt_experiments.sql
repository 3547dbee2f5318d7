select
    'Answers' as section,
    count(distinct record_id) as put_in_count,
    count(*) filter (where outcome in ('better', 'worse', 'no difference')) as compared_count,
    count(*) filter (where outcome = 'better') as better_count,
    count(*) filter (where outcome = 'worse') as worse_count,
    count(*) filter (where outcome = 'no difference') as same_count
from {{ ref('fct_experiments') }}
