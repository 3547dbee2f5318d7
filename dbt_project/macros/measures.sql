{# How shares, intervals and figures to send are computed: once, for every model. #}

{# A part divided by its whole, 0 to 1; null if the whole is zero or unknown. #}
{% macro share(part, whole) -%}
    cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0)
{%- endmacro %}

{# Ends of Wilson's interval of a share. Null if there is no whole, or if the part exceeds it: a day's opens can outnumber its
   deliveries. #}
{% macro wilson_low(part, whole, z=none) -%}{{ _wilson(part, whole, '-', z) }}{%- endmacro %}
{% macro wilson_high(part, whole, z=none) -%}{{ _wilson(part, whole, '+', z) }}{%- endmacro %}

{# Columns: both ends of the interval of a share named `name`. #}
{% macro interval(part, whole, name) -%}
    {{ wilson_low(part, whole) }} as {{ name }}_low,
    {{ wilson_high(part, whole) }} as {{ name }}_high
{%- endmacro %}

{# Columns: a share and both ends of its interval. #}
{% macro share_with_interval(part, whole, name) -%}
    {{ share(part, whole) }} as {{ name }},
    {{ interval(part, whole, name) }}
{%- endmacro %}

{% macro _wilson(part, whole, sign, z=none) -%}
    {%- set z = z or var('confidence_z') -%}
    {%- set n = 'cast(' ~ whole ~ ' as double)' -%}
    {%- set p = 'cast(' ~ part ~ ' as double) / nullif(' ~ n ~ ', 0)' -%}
    case when {{ part }} between 0 and {{ whole }} and {{ whole }} > 0 then
        greatest(0, least(1, (
            {{ p }} + {{ z * z / 2 }} / {{ n }}
            {{ sign }} {{ z }} * sqrt(({{ p }} * (1 - {{ p }}) + {{ z * z / 4 }} / {{ n }}) / {{ n }})
        ) / (1 + {{ z * z }} / {{ n }})))
    end
{%- endmacro %}

{# Ends of the interval of a mean of values from 0 to 1, by the normal approximation; null for a single value. #}
{% macro mean_low(value) -%}
    greatest(0, {{ mean(value) }} - {{ var('confidence_z') }} * stddev_samp({{ value }}) / sqrt(count({{ value }})))
{%- endmacro %}
{% macro mean_high(value) -%}
    least(1, {{ mean(value) }} + {{ var('confidence_z') }} * stddev_samp({{ value }}) / sqrt(count({{ value }})))
{%- endmacro %}

{# How many standard errors apart two shares are, with one pooled rate; null if nobody or everybody did it. #}
{% macro two_proportion_z(part_a, whole_a, part_b, whole_b) -%}
    {%- set pooled = 'cast(' ~ part_a ~ ' + ' ~ part_b ~ ' as double) / nullif(' ~ whole_a ~ ' + ' ~ whole_b ~ ', 0)' -%}
    ({{ share(part_a, whole_a) }} - {{ share(part_b, whole_b) }})
    / nullif(sqrt(greatest(0, ({{ pooled }}) * (1 - {{ pooled }})
        * (1 / cast(nullif({{ whole_a }}, 0) as double) + 1 / cast(nullif({{ whole_b }}, 0) as double)))), 0)
{%- endmacro %}

{# Two-sided p value of a standard normal value; 1 for null: no difference was seen. The polynomial of Abramowitz and Stegun,
   7.1.26, is accurate to 1.5e-7. #}
{% macro two_sided_p(z) -%}
    {%- set t = '(1 / (1 + 0.3275911 * abs(' ~ z ~ ') / sqrt(2.0)))' -%}
    coalesce(
        {{ t }} * (0.254829592 + {{ t }} * (-0.284496736 + {{ t }} * (1.421413741 + {{ t }}
            * (-1.453152027 + {{ t }} * 1.061405429)))) * exp(-{{ z }} * {{ z }} / 2),
        1
    )
{%- endmacro %}

{# The one-sided version for values above 0: 1 for all others. As strict as an interval, which has two ends. #}
{% macro p_above(z) -%}
    case when {{ z }} > 0 then {{ two_sided_p(z) }} else 1 end
{%- endmacro %}

{# p values adjusted for many comparisons, after Benjamini and Hochberg (1995): among those below a level, the expected share of
   chance findings is at most that level. Rows of one `family` are judged together, `count` of them if not all are rows. In two steps,
   because window functions do not nest: first each p value by its rank, then the least of this column from each row on. #}
{% macro ranked_p(p, family, count=none) -%}
    {{ p }} * {{ count or 'count(*) over (partition by ' ~ family ~ ')' }}
    / row_number() over (partition by {{ family }} order by {{ p }})
{%- endmacro %}
{% macro adjusted_p(p, ranked_p, family) -%}
    case when {{ family }} then
        least(1, min({{ ranked_p }}) over (partition by {{ family }} order by {{ p }} desc))
    end
{%- endmacro %}

{# The rows of a CTE with both steps applied: `comparisons` are a prefix of `_p_value` and the column that selects the rows to
   judge. Each adds `<name>_adjusted_p_value`; an empty name means `p_value` alone. #}
{% macro with_adjusted_p(rows, comparisons, count=none) -%}
    select
        *
        {%- for name, family in comparisons %},
        {{ adjusted_p(name ~ 'p_value', name ~ 'ranked_p', family) }} as {{ name }}adjusted_p_value
        {%- endfor %}
    from (
        select
            *
            {%- for name, family in comparisons %},
            {{ ranked_p(name ~ 'p_value', family, count) }} as {{ name }}ranked_p
            {%- endfor %}
        from {{ rows }}
    ) as ranked
{%- endmacro %}

{% macro is_small(count) -%}
    coalesce({{ count }}, 0) < {{ var('small_sample') }}
{%- endmacro %}

{# Whether a day is one of the last engagement_window_days up to `last`. #}
{% macro in_window(day, last) -%}
    {{ dbt.datediff(day, last, 'day') }} between 0 and {{ var('engagement_window_days') - 1 }}
{%- endmacro %}

{# A pseudonym of the person with this e-mail address: HMAC-SHA-256, keyed by the salt beside the warehouse. Without that file,
   nobody can try out addresses. The function is defined in person_ids.py, so that no SQL contains the key. #}
{% macro person_id(email) -%}
    person_id({{ email }})
{%- endmacro %}

{# Facts: a share or mean in steps. The decimal type keeps 0.35 from becoming 0.35000000000000003. #}
{% macro in_steps(value, step) -%}
    cast(cast(round(cast({{ value }} as double) / {{ step }}) * {{ step }} as decimal(18, 4)) as double)
{%- endmacro %}

{# Facts: two significant digits; with `step` 5 the second one is 0 or 5. Whole numbers below 10 are unchanged. #}
{% macro two_digits(value, step=1) -%}
    cast(case
        when {{ value }} >= 10
            then round({{ value }} / ({{ step }} * power(10, floor(log10({{ value }})) - 1)))
                * {{ step }} * power(10, floor(log10({{ value }})) - 1)
        else round({{ value }})
    end as bigint)
{%- endmacro %}

{# The distance between such figures at this size. #}
{% macro two_digits_step(value, step=1) -%}
    case when {{ value }} >= 10 then {{ step }} * power(10, floor(log10({{ value }})) - 1) else 1 end
{%- endmacro %}

{# A share for readers: 45%. #}
{% macro percent(value) -%}
    concat_ws('', cast({{ whole('100 * ' ~ value) }} as {{ dbt.type_string() }}), '%')
{%- endmacro %}

{# The subject of a campaign: its name without the words for a channel, small letters and digits joined by hyphens; null if nothing
   is left. #}
{% macro name_stem(column) -%}
    {%- set stem = namespace(sql="concat_ws('', '-', " ~ slug(column, 200) ~ ", '-')") -%}
    {%- for word in var('channel_words') -%}
        {%- set stem.sql = "replace(" ~ stem.sql ~ ", '-" ~ word ~ "-', '-')" -%}
    {%- endfor -%}
    nullif(trim(both '-' from {{ stem.sql }}), '')
{%- endmacro %}

{# A column of daily counts, smoothed: the mean of the seven rows ending with this one, null before there are seven. #}
{% macro mean_of_seven_days(value) -%}
    case when row_number() over (order by happened_on) >= 7 then
        {{ mean(value, 'order by happened_on rows between 6 preceding and current row') }}
    end
{%- endmacro %}

{# The window of a day: 0 for the last full days before `last`, 1 for as many before those, otherwise null. #}
{% macro window_of(day, last, days) -%}
    case
        when {{ dbt.datediff(day, last, 'day') }} between 1 and {{ days }} then 0
        when {{ dbt.datediff(day, last, 'day') }} between {{ days + 1 }} and {{ 2 * days }} then 1
    end
{%- endmacro %}

{# How many days from `first` to `last` are this day of the week, 1 for Monday to 7. Whole weeks have each once; the days that are left
   begin with the first. #}
{% macro weekdays_between(weekday, first, last) -%}
    cast(floor((7 + ({{ dbt.datediff(first, last, 'day') }})
        - mod({{ weekday }} + 6 - mod({{ dbt.datediff("cast('1970-01-05' as date)", first, 'day') }}, 7), 7)) / 7) as bigint)
{%- endmacro %}

{# A count with its noun: 1 pair, 2 pairs. #}
{% macro one_or_many(count, one, many) -%}
    concat_ws('', {{ counted(count) }}, case when {{ count }} = 1 then ' {{ one }}' else ' {{ many }}' end)
{%- endmacro %}

{# The class of device that runs an operating system, by the beginning of its name: "iOS (iPhone)" is iOS. #}
{% macro device_class_of(system) -%}
    case
        {%- for device_class, names in var('device_systems').items() -%}
        {%- for name in names %}
        when lower({{ system }}) like '{{ name }}%' then '{{ device_class }}'
        {%- endfor -%}
        {%- endfor %}
    end
{%- endmacro %}

{# An event of a message on either channel, as a condition on a metric's role: received, opened, clicked. #}
{% macro in_roles(deed) -%}
    in ('{{ deed }}_email', '{{ deed }}_text')
{%- endmacro %}

{# The month of a day, such as 2026-01. #}
{% macro month_of(day) -%}
    substr(cast({{ day }} as {{ dbt.type_string() }}), 1, 7)
{%- endmacro %}

{# A number of fct_reconciliation as text: a count, or an amount with its currency. #}
{% macro in_its_unit(number) -%}
    case
        when currency is null then cast({{ whole(number) }} as {{ dbt.type_string() }})
        else concat_ws('', currency, ' ', cast({{ number }} as {{ dbt.type_string() }}))
    end
{%- endmacro %}

{# The columns of int_<vendor>_numbers_compared, from the CTE `told`. #}
{% macro numbers_compared(vendor, measure='measure', has_orders=false) -%}
select
    '{{ vendor }}' as vendor,
    subject_kind,
    subject_id,
    subject_name,
    {{ measure }}{{ '' if measure == 'measure' else ' as measure' }},
    period,
    reason,
    cast(ours as decimal(18, 2)) as ours,
    cast(theirs as decimal(18, 2)) as theirs,
    cast({{ 'order_count' if has_orders else 'null' }} as bigint) as order_count,
    cast({{ 'unread_count' if has_orders else '0' }} as bigint) as unread_count,
    measured_on
from told
{%- endmacro %}

{# A query with one row: whether people of Wistia and of Klaviyo were read. What no vendor measures is unknown, not zero. #}
{% macro people_read() -%}
select
        bool_or(vendor = 'wistia' and is_people_read) as are_viewers_read,
        bool_or(vendor = 'klaviyo' and is_people_read) as are_customers_read
    from {{ ref('dim_vendors') }}
{%- endmacro %}

{# Whether an order of fct_orders counts for buyers: worth something after refunds, not cancelled, in the account's currency. #}
{% macro order_counts() -%}
    net_amount > 0 and not is_cancelled and is_account_currency and buyer_id is not null
{%- endmacro %}

{# A score from 1 to `scores`, by the number of rows with a lower value, of all: equal values share one. #}
{% macro part_of_all(lower_count, whole, scores) -%}
    1 + cast(floor(cast({{ lower_count }} * {{ scores }} as double) / nullif({{ whole }}, 0)) as bigint)
{%- endmacro %}
