{# Models that grow: `materialized: incremental` adds the rows of new loads instead of building everything. Such a model is built whole
   when its result could differ otherwise: after a change of the project or of `--vars`, after rows that it holds were changed or
   removed, and after a model that it reads was built whole. So plain `dbt build` always gives the tables that a full build gives.
   Spark builds them whole.

   raw_ops.grown holds for each: its `mark` (the project, the vars, and for what it reads the last whole build and the rows of small
   tables), when it was last built whole, and the loads whose rows it has. #}

{# At the top of such a model: its key; for one that reads a raw table, `raw` with schema, table, key and the columns of row_hash;
   for others, the growing models that they read, first the one whose loads they follow, and the small relations read `beside`.
   `mark` names a macro whose value must stay the same. Where the rows of one `whose`, such as a viewer, are made of all of that viewer's
   rows, those of the viewers in new loads are removed first, because some may have nothing to come back. #}
{% macro growing(key, raw=none, after=[], beside=[], mark=none, whose=none) -%}
    {%- for name in after + beside -%}{%- do ref(name) -%}{%- endfor -%}
    {%- if target.type == 'spark' -%}
    {{ config(materialized='table') }}
    {%- else -%}
    {{ config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        on_schema_change='fail',
        unique_key=key,
        pre_hook='{{ remove_those_of_new_loads() }}',
        post_hook='{{ note_growth() }}',
        meta={'grows_from': raw, 'grows_with': after, 'beside': beside, 'mark': mark, 'whose': whose},
    ) }}
    {%- endif -%}
{%- endmacro %}

{# dbt's own macro, asked by its materialization as well. #}
{% macro should_full_refresh() -%}
    {%- set asked = config.get('full_refresh') -%}
    {%- if asked is none -%}{%- set asked = flags.FULL_REFRESH -%}{%- endif -%}
    {%- set meta = config.get('meta', {}) -%}
    {{ return(must_be_whole(asked, meta) if execute and (meta.grows_from or meta.grows_with) else asked) }}
{%- endmacro %}

{# Decided once in a run of a model: later, its rows have changed. #}
{% macro must_be_whole(asked, meta) -%}
    {%- set node = graph.nodes[model.unique_id] -%}
    {%- if not (node.is_whole and node.is_whole[0] == invocation_id) -%}
        {%- set is_there = load_cached_relation(this) is not none -%}
        {%- do node.update({'is_whole': [invocation_id, asked or not is_there or growth_is_broken(meta)]}) -%}
    {%- endif -%}
    {{ return(node.is_whole[1]) }}
{%- endmacro %}

{#- Each question has a row if rows may be added; it is kept with the statements that dbt sends (statements.py). -#}
{% macro growth_is_broken(meta) -%}
    {%- set same -%}
        with growth_check as (
            select mark from raw_ops.grown where relation = '{{ this.schema }}.{{ this.name }}'
        )
        select 1 from growth_check where mark = {{ growth_mark(meta) }}
    {%- endset -%}
    {%- if run_query(same).rows | length == 0 -%}{{ return(true) }}{%- endif -%}
    {%- if not meta.grows_from -%}{{ return(false) }}{%- endif -%}
    {#- The rows in raw must be ours and those with new keys: otherwise some were changed, removed or moved. -#}
    {%- set raw = meta.grows_from -%}
    {%- set equal -%}
        with raw as (
            select {{ raw.key }} as row_key, {{ row_hash(raw.hashed) }} as row_hash, {{ load_of('_dlt_load_id') }} as load_id
            from ({{ readable(raw.schema, raw.table) }}) as readable
        ),
        growth_check as (
            select row_hash, 1 as sign from raw
            union all
            select row_hash, -1 as sign from {{ this }}
            union all
            select row_hash, -1 as sign from raw
            where load_id not in (select distinct load_id from {{ this }})
                and row_key not in (select {{ config.get('unique_key') }} from {{ this }})
        )
        select 1 from growth_check
        having coalesce(sum(sign), 0) = 0 and coalesce(sum(sign * cast(row_hash as hugeint)), 0) = 0
    {%- endset -%}
    {{ return(run_query(equal).rows | length == 0) }}
{%- endmacro %}

{# SQL: identifies the project, the vars and the inputs that a growing model was built from, without the rows of loads. #}
{% macro growth_mark(meta) -%}
    concat_ws(
        ' ', coalesce(getvariable('project'), ''), '{{ local_md5(invocation_args_dict.get('vars', {}) | string) }}'
        {%- for name in meta.get('grows_with', []) -%}
        {%- set read = ref(name) -%}
        , (select whole_at from raw_ops.grown where relation = '{{ read.schema }}.{{ read.name }}')
        {%- endfor -%}
        {%- for name in meta.get('beside', []) -%}
        , (select concat_ws('', count(*), '-', sum(hash(beside))) from {{ ref(name) }} as beside)
        {%- endfor -%}
        {%- if meta.get('mark') -%}, {{ context[meta.mark]() }}{%- endif -%}
    )
{%- endmacro %}

{# The hook of a model that grows, before its rows are added. #}
{% macro remove_those_of_new_loads() -%}
    {%- set meta = config.get('meta', {}) -%}
    {%- if execute and meta.whose and is_incremental() -%}
    delete from {{ this }} where {{ in_new_loads(meta.whose, meta.grows_with[0]) }}
    {%- endif -%}
{%- endmacro %}

{# The hook of a model that grows, after it was built. #}
{% macro note_growth() -%}
    {%- set meta = config.get('meta', {}) -%}
    {%- if execute -%}
    {%- set name = this.schema ~ '.' ~ this.name -%}
    {%- set whole_at = "now()" if graph.nodes[model.unique_id].is_whole[1] else
        "(select whole_at from raw_ops.grown where relation = '" ~ name ~ "')" -%}
    insert or replace into raw_ops.grown
    select '{{ name }}', {{ growth_mark(meta) }}, {{ whole_at }},
        (select list(distinct load_id) from {{ ref(meta.grows_with[0]) if meta.grows_with else this }})
    {%- endif -%}
{%- endmacro %}

{# A condition on the rows of a model that grows: they came with a load that the model being built has not seen. #}
{% macro came_since(load_id) -%}
    {{ load_id }} not in (
        select unnest(load_ids) from raw_ops.grown where relation = '{{ this.schema }}.{{ this.name }}'
    )
{%- endmacro %}

{# A condition on the rows of a model: those of a viewer, say, who is in loads that the model being built has not seen. #}
{% macro in_new_loads(whose, followed) -%}
    {{ whose }} in (select {{ whose }} from {{ ref(followed) }} where {{ came_since('load_id') }})
{%- endmacro %}

{# The load that brought a raw row; rows put in by hand have none. #}
{% macro load_of(column) -%}
    coalesce({{ column }}, '')
{%- endmacro %}

{# dbt-duckdb builds a whole incremental model beside and renames it, unless foreign keys forbid that: then it replaces the table,
   by statements that can be sent again. #}
{% macro has_foreign_key_constraints(relation=none) -%}
    {{ return(true) }}
{%- endmacro %}
