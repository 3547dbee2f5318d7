with unread as (

    select
        coalesce(cast(sum(row_count) as bigint), 0) as unread_count,
        count(distinct case when row_count > 0 then concat_ws('', vendor, '.', table_name) end) as unread_table_count
    from {{ ref('fct_quarantined_rows') }}

),

reconciled as (

    select
        coalesce(cast(sum(within_count) as bigint), 0) as within_count,
        coalesce(cast(sum(outside_count) as bigint), 0) as outside_count
    from {{ ref('rpt_reconciliation') }}

),

runs as (

    select
        count(*) as run_count,
        count(*) filter (where outcome = 'well') as well_run_count
    from {{ ref('rpt_runs') }}

),

sources as (

    select
        max(limit_hours) as limit_hours,
        max(newest_row_at) as newest_row_at,
        max(measured_at) as measured_at
    from {{ ref('fct_source_freshness') }}

)

select
    'Operations' as section,
    unread.unread_count,
    unread.unread_table_count,
    reconciled.within_count,
    reconciled.outside_count,
    runs.run_count,
    runs.well_run_count,
    sources.limit_hours,
    sources.newest_row_at,
    sources.measured_at
from unread
cross join reconciled
cross join runs
cross join sources
