{# A record of a label and its share for a list in the facts; null, and therefore not listed, if the share is too small. #}
{% macro listed(breakdown, name, told, fields=[]) -%}
    case when breakdown = '{{ breakdown }}' and share >= {{ var('listed_from_share') }} then
        {{ record([['share', in_steps('share', told)]] + fields + [[name, 'label']]) }}
    end
{%- endmacro %}

{# A name from a vendor, written by a person: data of limited length. #}
{% macro label(column) -%}
    substr(trim({{ column }}), 1, 80)
{%- endmacro %}

{# The columns facts and fact_steps: the data that is sent, and the change in each number that counts. A fact is a list of its name,
   its SQL and an optional step; for nested facts, steps by path, as in '[].share'. For a list, '[]' is the upper bound of an item
   that is not on it. Without a step, every change counts. #}
{% macro facts_with_steps(facts) -%}
    {%- set values, steps = [], [] -%}
    {%- for fact in facts -%}
        {%- do values.append(fact[:2]) -%}
        {%- for inside, step in (fact[2] if fact[2] is mapping else {'': fact[2]}).items() if fact | length > 2 -%}
            {%- do steps.append([fact[0] ~ inside, step]) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ json_build(values) }} as facts,
    {{ json_build(steps) }} as fact_steps
{%- endmacro %}

{# A fact that is a share or mean. A change of more than a step counts; given the ends of its interval, a change of more than half
   of the interval. It is sent in steps of `told` if those are finer. A coarse step keeps noise from costing credits, but must not
   round 2% to 0% or make neighboring figures contradict each other. #}
{% macro measure(name, value, step, interval=none, told=none) -%}
    {{ return([
        name,
        in_steps(value, told or step),
        rounded_step('greatest(' ~ step ~ ', (' ~ interval[1] ~ ' - ' ~ interval[0] ~ ') / 2)') if interval else step,
    ]) }}
{%- endmacro %}

{# A step that is computed, without the digits that depend on the order of a sum. #}
{% macro rounded_step(value) -%}
    round(cast({{ value }} as double), 12)
{%- endmacro %}

{# A fact that is a count or money: two significant digits. #}
{% macro figure(name, value, step=1) -%}
    {{ return([name, two_digits(value, step), two_digits_step(value, step)]) }}
{%- endmacro %}

{# The query that compares the groups of a job with everybody, a row per group of the CTE `groups`: `apart`, the facts that set it apart;
   `average_<fact>` of each of `averages`; and for each of `labels`, a list of the labels to which the group leans. The name of the label
   in that list is the value in `labels`; devices and parts of the day are words of ours. A list has its upper bound for what is not on it as `<list>_edge`, and `<list>_steps`. #}
{% macro groups_compared(job, groups, key, averages=[], labels={}) -%}
    {%- set edge = var('distinct_from_distance') -%}
    select
        them.{{ key }} as entity,
        {{ sorted_list(
            "case when beside.fact_position <= " ~ var('listed_distinct_facts') ~ " then "
            ~ record([['distance', in_steps('abs(beside.distance)', 0.1)], ['fact', 'beside.fact_name']]) ~ " end"
        ) }} as apart,
        {{ rounded_step(
            "coalesce(max(case when beside.fact_position = " ~ var('listed_distinct_facts') ~ " then abs(beside.distance) end), " ~ edge ~ ")"
        ) }} as apart_edge
        {%- for fact in averages %},
        max(case when beside.fact_name = '{{ fact }}' then beside.average end) as average_{{ fact }}
        {%- endfor %}
        {%- for fact, name in labels.items() %},
        {{ sorted_list(
            "case when beside.fact_name = '" ~ fact ~ "' and beside.label_position <= " ~ var('listed_distinct_labels') ~ " then "
            ~ record([
                ['distance', in_steps('beside.distance', 0.1)],
                [name, "replace(lower(beside.label), ' ', '_')" if name in ('device', 'day_part') else label('beside.label')],
                ['share', in_steps('beside.value', var('persona_share_step'))],
                ['average', in_steps('beside.average', var('persona_share_step'))],
                ['people', two_digits('beside.sample_count')],
            ]) ~ " end"
        ) }} as {{ fact }},
        {{ rounded_step(
            "coalesce(max(case when beside.fact_name = '" ~ fact ~ "' and beside.label_position = " ~ var('listed_distinct_labels')
            ~ " then beside.distance end), " ~ edge ~ ")"
        ) }} as {{ fact }}_edge,
        coalesce(max(case when beside.fact_name = '{{ fact }}' then {{ two_digits_step('beside.sample_count') }} end), 1) as {{ fact }}_step
        {%- endfor %}
    from {{ groups }} as them
    left join {{ ref('agg_groups_compared') }} as beside on beside.job = '{{ job }}' and them.{{ key }} = beside.entity
    group by them.{{ key }}
{%- endmacro %}

{# Facts: such lists, with their steps. A share of people moves by chance as much as its interval, here about five points. #}
{% macro set_apart(name, compared='compared') -%}
    {{ return([name, compared ~ '.apart', {'[]': compared ~ '.apart_edge', '[].distance': var('distinct_from_distance')}]) }}
{%- endmacro %}
{% macro leaning(fact, compared='compared') -%}
    {{ return([fact, compared ~ '.' ~ fact, {
        '[]': compared ~ '.' ~ fact ~ '_edge',
        '[].distance': var('distinct_from_distance'),
        '[].share': 0.05,
        '[].average': 0.05,
        '[].people': compared ~ '.' ~ fact ~ '_step',
    }]) }}
{%- endmacro %}

{# Facts: everybody's average of each fact, by the steps of the facts themselves. #}
{% macro averages(name, steps, compared='compared') -%}
    {%- set values, inside = [], {} -%}
    {%- for fact, step in steps.items() -%}
        {%- set average = compared ~ '.average_' ~ fact -%}
        {%- do values.append([fact, two_digits(average) if step is none else in_steps(average, step)]) -%}
        {%- do inside.update({'.' ~ fact: two_digits_step(average) if step is none else step}) -%}
    {%- endfor -%}
    {{ return([name, record(values), inside]) }}
{%- endmacro %}

{# Facts: the currency of the money among them; null if unknown, which the text then says. #}
{% macro known_currency(column) -%}
    nullif({{ column }}, 'unknown')
{%- endmacro %}

{# The facts declared by enabled jobs, a mapping each. A job declares them in the YAML of its models, `<job>__<kind>`, as meta:
     origins: the sources of facts by name, usually the mart's. `mart` is the model if its name differs; `key` is the SQL that
              selects the rows of an entity, in which slug(column) is the macro; without it all rows count. `count` is the column
              that was counted, `from` and `to` are those that give the period.
     facts:   by name, `type` (privacy/firewall.py), `from` (<origin>.<column>, or vars.<var>), `interval: true` if <column>_low and
              <column>_high exist beside the column, and `earlier_names`.
   Empty while dbt parses, when it has read no YAML yet. #}
{% macro declared_facts() -%}
    {%- set declared = [] -%}
    {%- for job, its in var('jobs').items() if execute and its.enabled -%}
        {%- for kind in its.sends -%}
            {%- set model = (job ~ '__' ~ kind) | replace('-', '_') -%}
            {%- set meta = graph.nodes['model.' ~ project_name ~ '.' ~ model].config.meta -%}
            {%- set seen = [] -%}
            {%- for name, fact in meta.facts.items() -%}
                {%- set origin, column = fact.from.split('.') -%}
                {%- set behind = meta.origins.get(origin, {}) -%}
                {%- set mart = behind.mart or origin -%}
                {%- do declared.append({
                    'job': job,
                    'kind': kind,
                    'name': name,
                    'model': 'dbt_project.yml' if origin == 'vars' else mart,
                    'column': column,
                    'count': behind.count,
                    'key': with_slugs(behind.key) if behind.key else none,
                    'measured_from': behind.from,
                    'measured_to': behind.to,
                    'interval': fact.interval,
                    'origin': model ~ '.' ~ origin,
                    'is_first': origin not in seen,
                    'relation': graph.nodes['model.' ~ project_name ~ '.' ~ mart].relation_name if origin != 'vars',
                }) -%}
                {%- do seen.append(origin) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(declared) }}
{%- endmacro %}

{# The hypothesis that each study decides, a mapping per job. A job declares it in the YAML of its `<job>__focus_groups`, as meta:
     hypothesis: `statement`, the sentence that is true or false; `question`, the number of the MULTIPLE_CHOICE question in study.toml
                 that decides it; `confirmed_by`, the options that speak for it; `above`, the share of answers that must give one of
                 these options. Significantly above confirms it, significantly below refutes it, anything else leaves it open;
                 `if_confirmed` and `if_refuted`, what to do then, may be absent.
   Empty while dbt parses, when it has read no YAML yet. #}
{% macro declared_hypotheses() -%}
    {%- set declared = [] -%}
    {%- for node in graph.get('nodes', {}).values() | sort(attribute='name') if node.config.meta and node.config.meta.hypothesis -%}
        {%- set rule = node.config.meta.hypothesis -%}
        {%- do declared.append({
            'job': node.name.split('__')[0] | replace('_', '-'),
            'statement': rule.statement,
            'question': rule.question,
            'confirmed_by': rule.confirmed_by,
            'above': rule.above,
            'if_confirmed': rule.if_confirmed,
            'if_refuted': rule.if_refuted,
        }) -%}
    {%- endfor -%}
    {{ return(declared) }}
{%- endmacro %}

{# SQL in which slug(column) stands for the macro's result. #}
{% macro with_slugs(sql) -%}
    {%- set found = namespace(sql=sql) -%}
    {%- for column in modules.re.findall('slug\\((\\w+)\\)', sql) -%}
        {%- set found.sql = found.sql | replace('slug(' ~ column ~ ')', slug(column)) -%}
    {%- endfor -%}
    {{ return(found.sql) }}
{%- endmacro %}
