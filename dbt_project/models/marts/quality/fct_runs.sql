{# What takes time; common/spans.py measures it. -#}
{% set parts = ['vendor', 'allowance', 'parse', 'compare', 'load', 'model', 'test', 'publish'] -%}

with begun as (

    select * from {{ ref('stg_operations__run_events') }} where event = 'begin'

),

ended as (

    select * from {{ ref('stg_operations__run_events') }} where event = 'end'

),

newest as (

    select step, max(happened_at) as newest_begun_at from begun group by step

),

-- The build that writes this table is still running: a run without an end counts as dead once a later one has begun.
runs as (

    select
        begun.run_id,
        begun.step,
        begun.scope,
        coalesce(ended.outcome, 'died') as outcome,
        ended.detail,
        ended.row_count,
        ended.request_count,
        ended.wait_count,
        ended.credits,
        {% for part in parts -%}
        cast({{ json_text('ended.parts', part) }} as double) as {{ part }}_seconds,
        {% endfor -%}
        ({{ dbt.datediff('begun.happened_at', 'ended.happened_at', 'millisecond') }}) / cast(1000 as double) as duration_seconds,
        begun.happened_at as started_at
    from begun
    inner join newest on begun.step = newest.step
    left join ended on begun.run_id = ended.run_id
    where ended.run_id is not null or begun.happened_at < newest.newest_begun_at

)

select
    *,
    row_number() over (partition by step order by started_at desc, run_id) = 1 as is_latest
from runs
