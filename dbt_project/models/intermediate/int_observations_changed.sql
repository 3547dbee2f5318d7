-- What the history does not have yet. After a build, `transform/history.py` adds these rows to raw_ops.observations, and the next build
-- finds none of them changed: marts read both, so that a full build before or after gives the same tables.
with ordered as (

    select
        *,
        row_number() over (partition by kind, subject_id, dimension_id order by observed_at desc, recorded_at desc) as recency
    from {{ ref('stg_operations__observations') }}

),

latest as (

    select * from ordered where recency = 1

),

reads as (

    select kind, max(read_at) as read_at from {{ ref('int_history_reads') }} group by kind

),

compared as (

    select
        coalesce(present.kind, latest.kind) as kind,
        coalesce(present.subject_id, latest.subject_id) as subject_id,
        coalesce(present.dimension_id, latest.dimension_id) as dimension_id,
        present.value,
        coalesce(present.rule, latest.rule) as rule,
        present.happened_at,
        coalesce(latest.value, '') <> coalesce(present.value, '')
        or (present.value is not null and latest.rule <> present.rule)
        -- Klaviyo dates a member anew who left and joined again.
        or (present.kind in ('segment', 'list') and present.happened_at > latest.happened_at) as is_changed
    from {{ ref('int_observed_now') }} as present
    full join latest
        on present.kind = latest.kind
        and present.subject_id = latest.subject_id
        and present.dimension_id = latest.dimension_id

)

select
    compared.kind,
    compared.subject_id,
    compared.dimension_id,
    compared.value,
    compared.rule,
    compared.happened_at,
    reads.read_at as observed_at
from compared
join reads on compared.kind = reads.kind
where compared.is_changed
