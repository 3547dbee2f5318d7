{# How the words of an answer are read. #}

{# A text without our reference at its end. #}
{% macro without_reference(column) -%}
    {{ trimmed_by('regexp_replace(' ~ column ~ ", '[| \n]*Ref: [^ ]+ [0-9a-f]{12}[ \n]*$', '')") }}
{%- endmacro %}

{% macro trimmed_by(sql) -%}
    nullif(trim({{ sql }}), '')
{%- endmacro %}

{# The first paragraph of a prompt: the task that it begins with. #}
{% macro task_of(column) -%}
    {{ capitalized(trimmed_by(matched(column, '(?s)^\\s*(?:Task: )?(.*?)\\s*(?:\n\\s*\n|$)'))) }}
{%- endmacro %}

{% macro capitalized(sql) -%}
    concat_ws('', upper(substr({{ sql }}, 1, 1)), substr({{ sql }}, 2))
{%- endmacro %}

{# What an answer in Markdown recommends first: the first line below a heading of recommendations, else the words behind a label such
   as "First step:", else the first item of a list, else the first line; without marks of lists and emphasis, and without its period. #}
{% macro first_recommendation(column) -%}
    {%- set headed = '(?i)(?:^|\n)(?:#{1,6} |[*][*])[^\n]*(?:recommend|what to do|next step|first step|do first|first edit)[^\n]*\n\\s*([^\n]+)' -%}
    {%- set labeled = '(?i)(?:^|\n)[\\s>*#-]*(?:first step|do first|first edit|recommendation)[*]*:[*]*\\s*([^\n]+)' -%}
    {%- set listed = '(?:^|\n)\\s*(?:[-*+]|[0-9]+[.)])\\s+([^\n]+)' -%}
    {%- set line = '^\\s*([^\n]+)' -%}
    {%- set found = [] -%}
    {%- for pattern in [labeled, headed, listed, line] -%}
        {%- do found.append("nullif(" ~ matched(column, pattern) ~ ", '')") -%}
    {%- endfor -%}
    {{ trimmed_by("regexp_replace(replace(" ~ unmarked('coalesce(' ~ found | join(', ') ~ ')') ~ ", '**', ''), '[. \n]+$', '')") }}
{%- endmacro %}

{# A line without its mark of a list or heading. #}
{% macro unmarked(sql) -%}
    regexp_replace({{ sql }}, '^ *(#{1,6}|[-*+]|[0-9]+[.)]) +', '')
{%- endmacro %}

{# A share for readers with one decimal, for rates of a few percent: 3.4%. #}
{% macro percent_fine(value) -%}
    concat_ws('', cast(cast(round(100 * {{ value }}, 1) as decimal(9, 1)) as {{ dbt.type_string() }}), '%')
{%- endmacro %}

{# A rate with its interval: 16% (13% to 19%). #}
{% macro rate_in_words(name, fine=false) -%}
    {%- set words = percent_fine if fine else percent -%}
    concat_ws('', {{ words(name) }}, ' (', {{ words(name ~ '_low') }}, ' to ', {{ words(name ~ '_high') }}, ')')
{%- endmacro %}

{# The beginning of a long text, up to the end of a word. #}
{% macro beginning(column) -%}
    case when length({{ column }}) <= {{ var('reported_answer_characters') }} then {{ column }}
        else regexp_replace(substr({{ column }}, 1, {{ var('reported_answer_characters') }}), '[ \n]*[^ \n]*$', '')
    end
{%- endmacro %}

{# The number of spaces and line breaks in a text: one less than its words. #}
{% macro blank_count(column) -%}
    cast(length({{ column }}) - length(replace(replace({{ column }}, chr(10), ''), ' ', '')) as bigint)
{%- endmacro %}
