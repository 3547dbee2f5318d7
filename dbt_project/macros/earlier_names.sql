{# A view under the model's name in the previous version (`meta: {earlier_name: …}`), in the same schema, so that queries written
   for that version still run. A table that still exists under the old name is replaced. Spark's models get them in the published copy. #}
{% macro create_views_under_earlier_names() -%}
    {%- if execute and target.type == 'duckdb' and flags.WHICH in ['build', 'run'] -%}
        {%- set found = {} -%}
        {%- for schema, name, kind in run_query('select table_schema, table_name, table_type from information_schema.tables').rows -%}
            {%- do found.update({schema ~ '.' ~ name: kind}) -%}
        {%- endfor -%}
        {%- for node in graph.nodes.values() if node.config.meta and node.config.meta.earlier_name -%}
            {%- set earlier = node.schema ~ '.' ~ node.config.meta.earlier_name -%}
            {%- if node.schema ~ '.' ~ node.name in found -%}
                {%- if found.get(earlier) == 'BASE TABLE' %}
    drop table {{ earlier }};
                {%- endif %}
    create or replace view {{ earlier }} as select * from {{ node.schema }}.{{ node.name }};
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
