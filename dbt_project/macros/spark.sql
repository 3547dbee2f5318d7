{# dbt-spark's macros of these names, where its own ones say something else than DuckDB's. #}

{# Boundaries between two moments, as a bigint. dbt-spark's differs: hours are rounded up, and the SQL is a sum without parentheses. #}
{% macro spark__datediff(first_date, second_date, datepart) -%}
    {%- if datepart == 'day' -%}
    cast(datediff(cast({{ second_date }} as date), cast({{ first_date }} as date)) as bigint)
    {%- else -%}
    timestampdiff({{ datepart }}, date_trunc('{{ datepart }}', {{ first_date }}), date_trunc('{{ datepart }}', {{ second_date }}))
    {%- endif -%}
{%- endmacro %}

{# A timestamp, with its fraction of a second, which dbt-spark's loses. #}
{% macro spark__dateadd(datepart, interval, from_date_or_timestamp) -%}
    timestampadd({{ datepart }}, {{ interval }}, cast({{ from_date_or_timestamp }} as timestamp))
{%- endmacro %}

{# Joined texts in their order, which dbt-spark ignores. #}
{% macro spark__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
    listagg({{ measure }}, {{ delimiter_text }}){% if order_by_clause %} within group (order by {{ nulls_last(order_by_clause | replace('order by ', '')) }}){% endif %}
{%- endmacro %}

{# Columns of an order, where nulls are last as on DuckDB. Spark has them first, unless the order is descending. #}
{% macro nulls_last(order) -%}
    {%- set columns = [] -%}
    {%- for column in ([order] if '(' in order else order.split(', ')) -%}{%- do columns.append(column ~ ('' if ' desc' in column else ' nulls last')) -%}{%- endfor -%}
    {{ return(columns | join(', ')) }}
{%- endmacro %}

{# Plain files keep no constraints: the test `no_nulls` checks them. #}
{% macro spark__persist_constraints(relation, model) -%}{%- endmacro %}

{# The table of a seed with its rows, which are one text with signs of its own between rows (chr(30)) and values (chr(31)): dbt-spark's
   inserts, and values written as SQL, take Spark half a minute for ten thousand rows. #}
{% macro spark__create_csv_table(model, agate_table) -%}
    {%- set types = model.config.get('column_types', {}) -%}
    {%- set rows = [] -%}
    {%- for row in agate_table.rows -%}
        {%- set values = [] -%}
        {%- for value in row -%}{%- do values.append('' if value is none else value | string) -%}{%- endfor -%}
        {%- do rows.append(values | join('\x1f')) -%}
    {%- endfor -%}
    {%- set text = rows | join('\x1e') | replace('\\', '\\\\') | replace("'", "\\'") -%}
    {%- set sql -%}
        create table {{ this }} using parquet as
        select
            {%- for name in agate_table.column_names %}
            cast(nullif(split(line, chr(31))[{{ loop.index0 }}], '') as {{ spark_type(types.get(name, adapter.convert_type(agate_table, loop.index0))) }})
            as {{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        from (select explode(split('{{ text }}', chr(30))) as line) as seed
        {%- if not rows %}
        where false
        {%- endif %}
    {%- endset -%}
    {%- call statement('_') -%}{{ sql }}{%- endcall -%}
    {{ return(sql) }}
{%- endmacro %}
{% macro spark__load_csv_rows(model, agate_table) -%}{{ return('') }}{%- endmacro %}

{# A type as Spark calls it: contracts and seeds have DuckDB's names. #}
{% macro spark_type(name) -%}
    {{ return({'json': 'string', 'varchar': 'string', 'timestamptz': 'timestamp'}.get(name | lower, name)) }}
{%- endmacro %}

{# The columns of a contract, without rows. #}
{% macro spark__get_empty_schema_sql(columns) -%}
    select
    {%- for column in columns.values() %}
        cast(null as {{ spark_type(column.data_type) }}) as {{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
