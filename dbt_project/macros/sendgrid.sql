{# Shared by SendGrid's statistics: account-level counts by day and one breakdown, such as the device. #}

{# One row per label and day: `counts` are summed, and `part` is given as a share of the day's sum over rows with equal `within`.
   `labels` are the columns that name a row, by their new names. #}
{% macro shares_by_day(relation, labels, counts, part, within=[], where='true') -%}
with summed as (

    select
        {% for name, column in labels.items() -%}
        {{ column }} as {{ name }},
        {% endfor -%}
        {% for count in counts -%}
        cast(sum({{ count }}) as bigint) as {{ count }},
        {% endfor -%}
        happened_on
    from {{ relation }}
    where {{ where }}
    group by {{ labels.values() | join(', ') }}, happened_on

),

with_total as (

    select
        *,
        sum({{ part }}) over (partition by {{ (within + ['happened_on']) | join(', ') }}) as total_count
    from summed

)

select
    {{ labels | join(', ') }},
    {{ counts | join(', ') }},
    {{ share_with_interval(part, 'total_count', part | replace('daily_', '') | replace('_count', '_share')) }},
    {{ is_small('total_count') }} as is_small_sample,
    happened_on
from with_total
{%- endmacro %}
