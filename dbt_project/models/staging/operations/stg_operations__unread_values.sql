-- Reads every raw table: staging no longer has the values that it set aside.
with

{% for table, fields in readings().items() if fields -%}
{%- set schema, name = table.split('.') -%}
{{ table | replace('.', '_') }} as (

    select
        count(*) as total_count
        {%- for kind, names in fields.items() if kind != 'name' -%}
        {%- for field in names.split() -%}
        {%- for reason, rule in unreadable(kind, field) %},
        count(*) filter (where {{ rule }}) as {{ field }}_{{ kind }}_{{ loop.index }}
        {%- endfor -%}
        {%- endfor -%}
        {%- endfor %}
    from {{ source(schema, name) }}

),

{% endfor -%}

counted as (

    {% set first = namespace(is_over=false) -%}
    {%- for table, fields in readings().items() -%}
    {%- for kind, names in fields.items() if kind != 'name' -%}
    {%- for field in names.split() -%}
    {%- for reason, rule in unreadable(kind, field) -%}
    {{ 'union all' if first.is_over }}
    {% set first.is_over = true -%}
    select
        '{{ table.split('.')[0] | replace('raw_', '') }}' as vendor,
        '{{ table.split('.')[1] }}' as table_name,
        '{{ field }}' as field,
        '{{ reason }}' as reason,
        {{ field }}_{{ kind }}_{{ loop.index }} as row_count,
        total_count
    from {{ table | replace('.', '_') }}
    {% endfor -%}
    {%- endfor -%}
    {%- endfor -%}
    {%- endfor %}

)

select * from counted
where row_count > 0
