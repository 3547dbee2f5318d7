{# Columns with a not_null constraint have no null. DuckDB keeps constraints by itself, Spark's files do not. #}
{% test no_nulls(model) %}

{{ config(enabled=target.type == 'spark') }}
{%- set required = [] -%}
{%- for node in graph.get('nodes', {}).values() if execute and node.relation_name == model | string -%}
    {%- for column in node.columns.values() -%}
        {%- for constraint in column.constraints if constraint.type == 'not_null' -%}{%- do required.append(column.name) -%}{%- endfor -%}
    {%- endfor -%}
{%- endfor -%}
{%- if execute and not required -%}
    {{ exceptions.raise_compiler_error(model ~ ' has no column with a not_null constraint: remove its test no_nulls') }}
{%- endif %}

select *
from {{ model }}
where {% for column in required or ['true'] %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}

{% endtest %}
