{# A record of a label and its share for a list in the facts; null, so not listed, where the share is too small. #}
{% macro listed(breakdown, name, step, fields=[]) -%}
    case when breakdown = '{{ breakdown }}' and share >= {{ var('listed_from_share') }} then
        {{ record([['share', in_steps('share', step)]] + fields + [[name, 'label']]) }}
    end
{%- endmacro %}

{# A name that somebody typed in at a vendor: data of bounded length. #}
{% macro label(column) -%}
    substr(trim({{ column }}), 1, 80)
{%- endmacro %}
