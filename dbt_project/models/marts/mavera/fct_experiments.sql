with put_in as (

    select * from {{ ref('int_records_put_in') }}

),

-- The messages of flows have their numbers already, one row per text; the latest text counts.
rewrites as (

    {{ one_each(ref('fct_flow_rewrites'), ['record_key'], 'written_at desc, generation_call_id') }}

),

rates as (

    {% for measure, share, count in [['opened', 'open', 'opened'], ['clicked', 'click', 'clicked']] -%}
    select
        concat_ws('', 'generations/', rewrites.record_key) as record_id,
        '{{ measure }}' as measure,
        rewrites.message_name as subject,
        rewrites.{{ share }}_outcome as outcome,
        rewrites.before_received_count as before_count,
        rewrites.before_{{ share }}_share as before_share,
        rewrites.before_{{ share }}_share_low as before_share_low,
        rewrites.before_{{ share }}_share_high as before_share_high,
        rewrites.after_received_count as after_count,
        rewrites.after_{{ share }}_share as after_share,
        rewrites.after_{{ share }}_share_low as after_share_low,
        rewrites.after_{{ share }}_share_high as after_share_high,
        messages.peer_{{ share }}_share as aim_share,
        {{ var('flow_window_days') }} as window_days
    from rewrites
    left join {{ ref('fct_flow_messages') }} as messages on rewrites.flow_message_id = messages.flow_message_id
    where rewrites.is_edited and rewrites.{{ share }}_outcome <> 'not measured'

    union all

    {% endfor -%}
    select
        record_id,
        'watched' as measure,
        cast(null as {{ dbt.type_string() }}) as subject,
        case
            when least(before_count, after_count) < {{ var('experiment_viewers_from') }} then 'too early'
            when {{ two_sided_p('z_score') }} >= {{ var('experiment_p_below') }} then 'no difference'
            when z_score > 0 then 'better'
            else 'worse'
        end as outcome,
        before_count,
        before_share,
        before_share_low,
        before_share_high,
        after_count,
        after_share,
        after_share_low,
        after_share_high,
        cast(null as double) as aim_share,
        {{ var('experiment_days') }} as window_days
    from (
        select
            record_id,
            {%- for part, is_it in [['before', 'not is_after'], ['after', 'is_after']] %}
            {%- set value = 'case when ' ~ is_it ~ ' then watched_share end' %}
            count({{ value }}) as {{ part }}_count,
            {{ mean(value) }} as {{ part }}_share,
            {{ mean_low(value) }} as {{ part }}_share_low,
            {{ mean_high(value) }} as {{ part }}_share_high,
            {%- endfor %}
            {%- set after, before = 'case when is_after then watched_share end', 'case when not is_after then watched_share end' %}
            ({{ mean(after) }} - {{ mean(before) }}) / nullif(sqrt(
                var_samp({{ after }}) / nullif(count({{ after }}), 0) + var_samp({{ before }}) / nullif(count({{ before }}), 0)
            ), 0) as z_score
        from (
            -- As in fct_media_performance, the best session of a viewer counts, here in either window.
            select
                put_in.record_id,
                views.viewer_id,
                views.viewed_at >= put_in.put_in_at as is_after,
                max(views.watched_share) as watched_share
            from put_in
            join {{ ref('stg_wistia__viewing_events') }} as views on put_in.record_id = concat_ws('', 'analyses/drop-offs:', views.media_id)
            where views.viewer_id is not null
                and views.watched_share is not null
                and abs({{ dbt.datediff('put_in.put_in_at', 'views.viewed_at', 'hour') }}) <= 24 * {{ var('experiment_days') }}
            group by put_in.record_id, views.viewer_id, views.viewed_at >= put_in.put_in_at
        ) as watched
        group by record_id
    ) as compared

)

select
    put_in.record_id,
    coalesce(rates.measure, 'none') as measure,
    put_in.record_key,
    put_in.job,
    coalesce(answers.title, rates.subject) as title,
    put_in.known_by,
    put_in.note,
    answers.recommendation as said,
    coalesce(rates.outcome, 'not measured') as outcome,
    rates.before_count,
    rates.before_share,
    rates.before_share_low,
    rates.before_share_high,
    rates.after_count,
    rates.after_share,
    rates.after_share_low,
    rates.after_share_high,
    rates.aim_share,
    cast(rates.window_days as bigint) as window_days,
    put_in.length_change_seconds,
    answers.answered_at,
    put_in.put_in_at
from put_in
left join rates on put_in.record_id = rates.record_id
left join {{ ref('fct_answers') }} as answers on put_in.record_id = answers.record_id
