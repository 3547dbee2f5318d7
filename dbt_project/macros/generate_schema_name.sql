{# A layer's schema has its own name, without the target's schema as a prefix. Spark has no transaction over several tables: models are
   built and tested in a schema that nobody reads, and published from there. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}{{ '_next' if target.type == 'spark' and node.resource_type == 'model' }}
{%- endmacro %}
