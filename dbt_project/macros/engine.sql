{# Differences between the engines: one macro per need, a DuckDB and a Spark body each. No model names an engine. #}

{# Text of a JSON value; `keys` is the path to it, from the outside in. #}
{% macro json_text(column, keys) -%}
    {{ return(adapter.dispatch('json_text')(column, [keys] if keys is string else keys)) }}
{%- endmacro %}

{% macro default__json_text(column, keys) -%}
    json_extract_string({{ column }}, '$."{{ keys | join('"."') }}"')
{%- endmacro %}

{% macro spark__json_text(column, keys) -%}
    get_json_object({{ column }}, "$['{{ keys | join("']['") }}']")
{%- endmacro %}


{# Texts of several JSON values, as a list in the order of `paths`, each a key or the keys to it. One pass over the JSON, however many
   there are: DuckDB would read it again for each `json_text`. `text_at` gives one of them, counted from 1. #}
{% macro json_texts(column, paths) -%}
    {{ return(adapter.dispatch('json_texts')(column, paths)) }}
{%- endmacro %}

{% macro default__json_texts(column, paths) -%}
    json_extract_string({{ column }}, [
        {%- for path in paths %}'$."{{ ([path] if path is string else path) | join('"."') }}"'{{ ', ' if not loop.last }}{% endfor -%}
    ])
{%- endmacro %}

{% macro spark__json_texts(column, paths) -%}
    array({% for path in paths %}{{ json_text(column, path) }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro text_at(texts, place) -%}
    {{ return(adapter.dispatch('text_at')(texts, place)) }}
{%- endmacro %}

{% macro default__text_at(texts, place) -%}
    {{ texts }}[{{ place }}]
{%- endmacro %}

{% macro spark__text_at(texts, place) -%}
    {{ texts }}[{{ place - 1 }}]
{%- endmacro %}


{# A number that differs if any of the columns does. #}
{% macro row_hash(columns) -%}
    {{ return(adapter.dispatch('row_hash')(columns)) }}
{%- endmacro %}

{% macro default__row_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}

{% macro spark__row_hash(columns) -%}
    xxhash64({{ columns | join(', ') }})
{%- endmacro %}


{# Whether the value of a JSON object at a key is a text, not a number. Spark keeps no types: there it is quoted. #}
{% macro is_json_text(column, key) -%}
    {{ return(adapter.dispatch('is_json_text')(column, key)) }}
{%- endmacro %}

{% macro default__is_json_text(column, key) -%}
    coalesce(json_type({{ column }}, '$."{{ key }}"') = 'VARCHAR', false)
{%- endmacro %}

{% macro spark__is_json_text(column, key) -%}
    coalesce({{ column }} rlike '"[{{ key[0] }}]{{ key[1:] }}" *: *"', false)
{%- endmacro %}


{# The same with the key in a column. #}
{% macro json_text_at(column, key) -%}
    {{ return(adapter.dispatch('json_text_at')(column, key)) }}
{%- endmacro %}

{% macro default__json_text_at(column, key) -%}
    json_extract_string({{ column }}, concat_ws('', '/', replace(replace({{ key }}, '~', '~0'), '/', '~1')))
{%- endmacro %}

{% macro spark__json_text_at(column, key) -%}
    get_json_object({{ column }}, concat_ws('', "$['", {{ key }}, "']"))
{%- endmacro %}


{# A text in small letters and digits, words joined by hyphens, cut to a maximum length; null if nothing is left. #}
{% macro slug(column, signs=40) -%}
    {{ return(adapter.dispatch('slug')(column, signs)) }}
{%- endmacro %}

{% macro default__slug(column, signs) -%}
    nullif(regexp_replace(substr(
        regexp_replace(regexp_replace(lower({{ column }}), '[^\p{L}\p{N}]+', '-', 'g'), '^-', ''), 1, {{ signs }}
    ), '-$', ''), '')
{%- endmacro %}

{% macro spark__slug(column, signs) -%}
    nullif(regexp_replace(substr(
        regexp_replace(regexp_replace(lower({{ column }}), '[^\\p{L}\\p{N}]+', '-'), '^-', ''), 1, {{ signs }}
    ), '-$', ''), '')
{%- endmacro %}


{# A point in time, in UTC. #}
{% macro utc(column) -%}
    {{ return(adapter.dispatch('utc')(column)) }}
{%- endmacro %}

{% macro default__utc(column) -%}
    cast({{ column }} as timestamptz)
{%- endmacro %}

{% macro spark__utc(column) -%}
    cast({{ column }} as timestamp)
{%- endmacro %}


{# The same of a text that may be none: then it is null. #}
{% macro utc_in(text) -%}
    {{ return(adapter.dispatch('utc_in')(text)) }}
{%- endmacro %}

{% macro default__utc_in(text) -%}
    try_cast({{ text }} as timestamptz)
{%- endmacro %}

{% macro spark__utc_in(text) -%}
    try_cast({{ text }} as timestamp)
{%- endmacro %}


{# The local time at an offset of this many seconds from UTC; null if the offset is unknown. The offsets come from the seed
   time_zone_offsets, because the engines' own zone tables differ by version. #}
{% macro local_time(moment, offset_seconds) -%}
    {{ return(adapter.dispatch('local_time')(moment, offset_seconds)) }}
{%- endmacro %}

{% macro default__local_time(moment, offset_seconds) -%}
    timezone('UTC', {{ moment }}) + to_seconds({{ offset_seconds }})
{%- endmacro %}

{% macro spark__local_time(moment, offset_seconds) -%}
    {{ moment }} + make_interval(0, 0, 0, 0, 0, 0, {{ offset_seconds }})
{%- endmacro %}


{# Several values as one, in the order written: `pairs` is a list of [name, SQL]. #}
{% macro record(pairs) -%}
    {{ return(adapter.dispatch('record')(pairs)) }}
{%- endmacro %}

{% macro default__record(pairs) -%}
    struct_pack({% for name, value in pairs %}{{ name }} := {{ value }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{% macro spark__record(pairs) -%}
    named_struct({% for name, value in pairs %}'{{ name }}', {{ value }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}


{# The same as a JSON object: data that may leave the warehouse. #}
{% macro json_build(pairs) -%}
    {{ return(adapter.dispatch('json_build')(pairs)) }}
{%- endmacro %}

{% macro default__json_build(pairs) -%}
    json_object({% for name, value in pairs %}
        '{{ name }}', {{ value }}{{ ',' if not loop.last }}{% endfor %}
    )
{%- endmacro %}

{% macro spark__json_build(pairs) -%}
    to_json({{ record(pairs) }}, map('ignoreNullFields', 'false'))
{%- endmacro %}


{# A column with a list of JSON objects of texts, as a value of json_build or record: Spark has no type for JSON, so that it would be
   a text there. `fields` are the names in each object. #}
{% macro objects_in(column, fields) -%}
    {{ return(adapter.dispatch('objects_in')(column, fields)) }}
{%- endmacro %}

{% macro default__objects_in(column, fields) -%}
    {{ column }}
{%- endmacro %}

{% macro spark__objects_in(column, fields) -%}
    from_json({{ column }}, 'array<struct<{{ fields | join(': string, ') }}: string>>')
{%- endmacro %}


{# An aggregate: the values that are not null, greatest first; records compare by their first field, then the next. #}
{% macro sorted_list(value) -%}
    {{ return(adapter.dispatch('sorted_list')(value)) }}
{%- endmacro %}

{% macro default__sorted_list(value) -%}
    coalesce(list({{ value }} order by {{ value }} desc) filter (where {{ value }} is not null), [])
{%- endmacro %}

{% macro spark__sorted_list(value) -%}
    sort_array(collect_list({{ value }}), false)
{%- endmacro %}


{# Texts known when the model is compiled, as a list. #}
{% macro text_list(texts) -%}
    {{ return(adapter.dispatch('text_list')(texts)) }}
{%- endmacro %}

{% macro default__text_list(texts) -%}
    [{% for text in texts %}'{{ text }}'{{ ', ' if not loop.last }}{% endfor %}]
{%- endmacro %}

{% macro spark__text_list(texts) -%}
    array({% for text in texts %}'{{ text }}'{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}


{# The text of a JSON array; null for any other text, which would be an error in DuckDB. #}
{% macro _json_list(column) -%}
    case when json_valid(cast({{ column }} as varchar)) and ltrim(cast({{ column }} as varchar)) like '[%' then {{ column }} end
{%- endmacro %}

{# The text of an element of `explode_rows` that is a text, and not an object. #}
{% macro element_text(element) -%}
    {{ return(adapter.dispatch('element_text')(element)) }}
{%- endmacro %}

{% macro default__element_text(element) -%}
    json_extract_string({{ element }}, '$')
{%- endmacro %}

{% macro spark__element_text(element) -%}
    {{ element }}
{%- endmacro %}


{# In a select: a row per element of a JSON array, each as JSON text. #}
{% macro explode_rows(column) -%}
    {{ return(adapter.dispatch('explode_rows')(column)) }}
{%- endmacro %}

{% macro default__explode_rows(column) -%}
    unnest(from_json({{ _json_list(column) }}, '["JSON"]'))
{%- endmacro %}

{% macro spark__explode_rows(column) -%}
    explode(from_json({{ column }}, 'array<string>'))
{%- endmacro %}


{# In a select: a row per number of a JSON array, as a record of its position, from 0, and the number. #}
{% macro explode_numbers(column) -%}
    {{ return(adapter.dispatch('explode_numbers')(column)) }}
{%- endmacro %}

{% macro default__explode_numbers(column) -%}
    unnest(list_transform(
        from_json({{ _json_list(column) }}, '["BIGINT"]'),
        lambda number, place: {'place': place - 1, 'number': case when number between 0 and 1e12 then number end}
    ))
{%- endmacro %}

{% macro spark__explode_numbers(column) -%}
    explode(transform(
        from_json({{ column }}, 'array<bigint>'), (number, place) -> named_struct(
            'place', cast(place as bigint), 'number', case when number between 0 and 1e12 then number end
        )
    ))
{%- endmacro %}


{# In a select: a row per part of a text between matches of `pattern`, a regular expression. #}
{% macro explode_text(column, pattern) -%}
    {{ return(adapter.dispatch('explode_text')(column, pattern)) }}
{%- endmacro %}

{% macro default__explode_text(column, pattern) -%}
    unnest(string_split_regex({{ column }}, '{{ pattern }}'))
{%- endmacro %}

{% macro spark__explode_text(column, pattern) -%}
    explode(split({{ column }}, '{{ pattern }}'))
{%- endmacro %}


{# The part of a text that a group of a regular expression matches; '' if the expression matches nothing. #}
{% macro matched(column, pattern, group=1) -%}
    {{ return(adapter.dispatch('matched')(column, pattern, group)) }}
{%- endmacro %}

{% macro default__matched(column, pattern, group) -%}
    regexp_extract({{ column }}, '{{ pattern | replace("'", "''") }}', {{ group }})
{%- endmacro %}

{% macro spark__matched(column, pattern, group) -%}
    regexp_extract({{ column }}, '{{ pattern | replace("\\", "\\\\") | replace("'", "\\'") }}', {{ group }})
{%- endmacro %}


{# An aggregate: texts in the order of `place`, separated by a blank. #}
{% macro text_in_order(text, place) -%}
    {{ return(adapter.dispatch('text_in_order')(text, place)) }}
{%- endmacro %}

{% macro default__text_in_order(text, place) -%}
    string_agg({{ text }}, ' ' order by {{ place }})
{%- endmacro %}

{% macro spark__text_in_order(text, place) -%}
    array_join(transform(
        sort_array(collect_list(named_struct('place', {{ place }}, 'text', {{ text }}))), each -> each.text
    ), ' ')
{%- endmacro %}


{# A number rounded to a bigint. A bare cast rounds in DuckDB and truncates in Spark. #}
{% macro whole(value) -%}
    cast(round({{ value }}) as bigint)
{%- endmacro %}


{# A double as a decimal, rounded as DuckDB does: by its value in binary, so that 1.005, which is a little less, is 1.00. Spark rounds
   the digits that it prints. #}
{% macro as_decimal(value, precision, scale) -%}
    {{ return(adapter.dispatch('as_decimal')(value, precision, scale)) }}
{%- endmacro %}

{% macro default__as_decimal(value, precision, scale) -%}
    cast({{ value }} as decimal({{ precision }}, {{ scale }}))
{%- endmacro %}

{% macro spark__as_decimal(value, precision, scale) -%}
    cast(round(cast({{ value }} as double) * 1e{{ scale }}) / 1e{{ scale }} as decimal({{ precision }}, {{ scale }}))
{%- endmacro %}


{# The mean of a column, in a window if `over` says which. Spark's avg() of decimals is a decimal that is cut off, and that of doubles
   depends on the order of the rows; a sum of decimals is exact. #}
{% macro mean(value, over=none) -%}
    {{ return(adapter.dispatch('mean')(value, ' over (' ~ over ~ ')' if over else '')) }}
{%- endmacro %}

{% macro default__mean(value, over) -%}
    avg({{ value }}){{ over }}
{%- endmacro %}

{#- Divided as decimals, as DuckDB divides whole numbers: a third of 0.3 is 0.1, not 0.09999999999999999. -#}
{% macro spark__mean(value, over) -%}
    {%- set sum = 'sum(' ~ value ~ ')' ~ over -%}
    {%- set count = 'nullif(count(' ~ value ~ ')' ~ over ~ ', 0)' -%}
    coalesce(cast(try_cast({{ sum }} as decimal(38, 18)) / {{ count }} as double), cast({{ sum }} as double) / {{ count }})
{%- endmacro %}


{# A whole number for readers: 1,234. #}
{% macro counted(value) -%}
    {{ return(adapter.dispatch('counted')(value)) }}
{%- endmacro %}

{% macro default__counted(value) -%}
    format('{:,}', {{ whole(value) }})
{%- endmacro %}

{% macro spark__counted(value) -%}
    format_number({{ whole(value) }}, 0)
{%- endmacro %}


{# All columns of a relation, some with other values: `values` are pairs of column and SQL. #}
{% macro select_replacing(relation, values) -%}
    {{ return(adapter.dispatch('select_replacing')(relation, values)) }}
{%- endmacro %}

{% macro default__select_replacing(relation, values) -%}
    select *{% if values %} replace (
        {%- for name, value in values %}
        {{ value }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    ){% endif %} from {{ relation }}
{%- endmacro %}

{% macro spark__select_replacing(relation, values) -%}
    select *{% if values %} except ({{ values | map('first') | join(', ') }})
        {%- for name, value in values %},
        {{ value }} as {{ name }}
        {%- endfor %}{% endif %} from {{ relation }}
{%- endmacro %}


{# The rows of a CTE, one for each value of its `keys`: the first by `order`. #}
{% macro one_each(rows, keys, order) -%}
    {{ return(adapter.dispatch('one_each')(rows, keys, order)) }}
{%- endmacro %}

{% macro default__one_each(rows, keys, order) -%}
    select * from {{ rows }}
    qualify row_number() over (partition by {{ keys | join(', ') }} order by {{ order }}) = 1
{%- endmacro %}

{% macro spark__one_each(rows, keys, order) -%}
    select * except (copy_number)
    from (
        select *, row_number() over (partition by {{ keys | join(', ') }} order by {{ nulls_last(order) }}) as copy_number from {{ rows }}
    )
    where copy_number = 1
{%- endmacro %}
