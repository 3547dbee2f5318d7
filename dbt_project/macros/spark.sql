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
    listagg({{ measure }}, {{ delimiter_text }}){% if order_by_clause %} within group ({{ order_by_clause }}){% endif %}
{%- endmacro %}

{# Plain files keep no constraints: the test `no_nulls` checks them. #}
{% macro spark__persist_constraints(relation, model) -%}{%- endmacro %}

{# The table of a seed with its rows. dbt-spark sends an insert for each ten thousand rows. #}
{% macro spark__create_csv_table(model, agate_table) -%}
    {%- set types = model.config.get('column_types', {}) -%}
    {%- set sql -%}
        create table {{ this }} using parquet as
        select
            {%- for name in agate_table.column_names %}
            cast({{ name }} as {{ spark_type(types.get(name, adapter.convert_type(agate_table, loop.index0))) }}) as {{ name }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        from values
        {%- for row in agate_table.rows or [agate_table.column_names] %}
            (
            {%- for value in row -%}
            {{ 'null' if value is none else "'" ~ (value | string | replace('\\', '\\\\') | replace("'", "\\'")) ~ "'" }}{{ ', ' if not loop.last }}
            {%- endfor -%}
            ){{ ',' if not loop.last }}
        {%- endfor %}
        as seed ({{ agate_table.column_names | join(', ') }})
        {%- if not agate_table.rows %}
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
