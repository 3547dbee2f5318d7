{# Tables and views are replaced by one statement. dbt-duckdb builds beside, renames twice and drops: four times as many
   statements, which differ by what is already there. Nobody reads a warehouse while it is built. #}

{% materialization table, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {{- drop_another_type(target) -}}
    {% call statement('main') -%}
        {{ create_table_as(False, target, compiled_code) }}
    {%- endcall %}
    {{- adapter.commit() -}}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb' %}
    {%- set target = this.incorporate(type='view') -%}
    {{- drop_another_type(target) -}}
    {% call statement('main') -%}
        {% if config.get('contract').enforced %}{{ get_assert_columns_equivalent(compiled_code) }}{% endif %}
        create or replace view {{ target }} as (
            {{ compiled_code }}
        )
    {%- endcall %}
    {{- adapter.commit() -}}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# A seed's columns are those of its file, also if an earlier version of it had others. #}
{% materialization seed, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set rows = load_agate_table() -%}
    {%- set types = config.get('column_types', {}) -%}
    {%- do store_result('agate_table', response='OK', agate_table=rows) -%}
    {{- drop_another_type(target) -}}
    {% call statement('main') -%}
        create or replace table {{ target }} (
            {%- for name in rows.column_names %}
            {{ name }} {{ types.get(name, adapter.convert_type(rows, loop.index0)) }}{{ ',' if not loop.last }}
            {%- endfor %}
        );
        copy {{ target }} from '{{ adapter.get_seed_file_path(model) }}' (format csv, header true)
    {%- endcall %}
    {{- adapter.commit() -}}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{% macro drop_another_type(target) -%}
    {%- set existing = load_cached_relation(target) -%}
    {%- if existing and existing.type != target.type -%}
        {{- drop_relation(existing) -}}
    {%- endif -%}
{%- endmacro %}

{# dbt-duckdb's macro of this name, but an existing table is replaced; also called by incremental models. #}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
    {%- set name = relation.include(database=(not temporary), schema=(not temporary)) -%}
    {%- set kind = 'temporary table' if temporary else 'table' -%}
    {%- if config.get('contract').enforced and not temporary -%}
        {{ get_assert_columns_equivalent(compiled_code) }}
        create or replace {{ kind }} {{ name }}
        {{ get_table_columns_and_constraints() }};
        insert into {{ name }} {{ get_column_names() }} (
            {{ get_select_subquery(compiled_code) }}
        )
    {%- else -%}
        create or replace {{ kind }} {{ name }} as (
            {{ compiled_code }}
        )
    {%- endif -%}
{%- endmacro %}
