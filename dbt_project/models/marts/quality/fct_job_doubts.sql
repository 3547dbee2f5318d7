with outside as (

    select
        witnesses.job,
        case when witnesses.is_own_subject then numbers.subject_id else '' end as entity,
        numbers.*,
        cast(abs(numbers.difference) as double) / greatest(numbers.tolerance, 1) as distance
    from {{ ref('job_witnesses') }} as witnesses
    join {{ ref('fct_reconciliation') }} as numbers
        on witnesses.vendor = numbers.vendor
        and witnesses.subject_kind = numbers.subject_kind
        and witnesses.measure = numbers.measure
    where numbers.verdict = 'outside' and not (witnesses.is_own_subject and numbers.is_total)

),

ranked as (

    select
        *,
        row_number() over (
            partition by job, entity order by is_total desc, distance desc, vendor, subject_kind, measure, subject_id, period
        ) as place,
        count(*) over (partition by job, entity) as outside_count
    from outside

)

select
    job,
    entity,
    concat_ws('',
        message,
        case when outside_count > 1 then concat_ws('', ', and ', cast(outside_count - 1 as {{ dbt.type_string() }}), ' more') else '' end
    ) as doubt,
    outside_count
from ranked
where place = 1
