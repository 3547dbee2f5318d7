{%- set tolerance -%}
    tolerances.relative_tolerance * with_totals.theirs
            + case
                when tolerances.is_money
                    then (tolerances.absolute_tolerance + with_totals.unread_count)
                        * coalesce(cast(with_totals.theirs as double) / nullif(with_totals.order_count, 0), 0)
                else tolerances.absolute_tolerance
            end
{%- endset -%}

with told as (

    select * from {{ ref('int_klaviyo_numbers_compared') }}
    union all
    select * from {{ ref('int_sendgrid_numbers_compared') }}
    union all
    select * from {{ ref('int_wistia_numbers_compared') }}

),

numbers as (

    select
        vendor,
        subject_kind,
        subject_id,
        subject_name,
        measure,
        period,
        coalesce(reason, case when theirs is null then 'the vendor does not tell it' end) as reason,
        ours,
        theirs,
        order_count,
        unread_count,
        measured_on
    from told

),

with_totals as (

    select *, false as is_total from numbers

    union all

    -- Over the compared numbers. If there are none, the reason of the first is used.
    select
        vendor,
        subject_kind,
        'all' as subject_id,
        cast(null as {{ dbt.type_string() }}) as subject_name,
        measure,
        'all' as period,
        case when count(*) = count(reason) then min(reason) end as reason,
        cast(sum(case when reason is null then ours end) as decimal(18, 2)) as ours,
        cast(sum(case when reason is null then theirs end) as decimal(18, 2)) as theirs,
        cast(sum(case when reason is null then order_count end) as bigint) as order_count,
        cast(sum(case when reason is null then unread_count end) as bigint) as unread_count,
        max(measured_on) as measured_on,
        true as is_total
    from numbers
    group by vendor, subject_kind, measure

),

-- Amounts may differ by a number of orders at the vendor's own mean value, plus those with an unreadable amount.
allowed as (

    select
        with_totals.*,
        tolerances.absolute_tolerance,
        tolerances.relative_tolerance,
        tolerances.reason as tolerance_reason,
        case when tolerances.is_money then (select min(currency) from {{ ref('int_account_currency') }}) end as currency,
        {{ as_decimal(tolerance, 18, 2) }} as tolerance
    from with_totals
    left join {{ ref('reconciliation_tolerances') }} as tolerances
        on with_totals.vendor = tolerances.vendor
        and with_totals.subject_kind = tolerances.subject_kind
        and with_totals.measure = tolerances.measure

),

judged as (

    select
        *,
        case
            when reason is not null or tolerance is null then 'not compared'
            when abs(ours - theirs) <= tolerance then 'within'
            else 'outside'
        end as verdict
    from allowed

)

select
    vendor,
    subject_kind,
    subject_id,
    subject_name,
    measure,
    period,
    currency,
    verdict,
    coalesce(reason, case when tolerance is null then 'no tolerance is set for it' end) as not_compared_reason,
    tolerance_reason,
    case when verdict = 'outside' then concat_ws('',
        case vendor when 'klaviyo' then 'Klaviyo' when 'sendgrid' then 'SendGrid' else 'Wistia' end,
        ' says ', {{ in_its_unit('theirs') }}, ' and we count ', {{ in_its_unit('ours') }}, ' ', replace(measure, '_', ' '), ' of ',
        case
            when is_total then concat_ws('', 'all ', replace(subject_kind, '_', ' '), 's')
            when subject_kind = 'account' then 'the account'
            else concat_ws('', replace(subject_kind, '_', ' '), ' "', coalesce(subject_name, subject_id), '"')
        end,
        case when is_total then '' else concat_ws('', ', ', period) end
    ) end as message,
    ours,
    theirs,
    cast(ours - theirs as decimal(18, 2)) as difference,
    tolerance,
    absolute_tolerance,
    relative_tolerance,
    unread_count,
    is_total,
    measured_on
from judged
