with rules as (

    {% for rule in var('viewer_cluster_rules') -%}
    select
        '{{ rule.cluster }}' as viewer_cluster,
        {{ loop.index }} as rule_position,
        cast({{ rule.media_count_from }} as bigint) as media_count_from,
        cast({{ rule.media_count_to | default('null') }} as bigint) as media_count_to,
        cast({{ rule.watched_share_from | default('null') }} as double) as watched_share_from,
        cast({{ rule.watched_share_below | default('null') }} as double) as watched_share_below
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

viewers as (

    select * from {{ ref('dim_viewers') }}

),

summed as (

    select
        viewer_cluster,
        count(*) as viewer_count,
        count(distinct coalesce(person_id, viewer_id)) as person_count,
        cast(sum(session_count) as bigint) as session_count,
        count(*) filter (where is_identified) as identified_viewer_count,
        {{ mean('media_count') }} as mean_media_count,
        {{ mean('session_count') }} as mean_session_count,
        -- Decimal, so that the mean does not depend on the order of its rows.
        {{ mean('cast(watched_share as decimal(9, 8))') }} as mean_watched_share,
        {{ mean_low('watched_share') }} as mean_watched_share_low,
        {{ mean_high('watched_share') }} as mean_watched_share_high,
        {{ share('count(*) filter (where is_mobile)', 'count(is_mobile)') }} as mobile_share,
        max(last_viewed_at) as last_viewed_at
    from viewers
    group by viewer_cluster

),

account as (

    select count(*) as viewer_count from viewers

)

select
    rules.viewer_cluster,
    rules.rule_position,
    rules.media_count_from,
    rules.media_count_to,
    rules.watched_share_from,
    rules.watched_share_below,
    coalesce(summed.viewer_count, 0) as viewer_count,
    coalesce(summed.person_count, 0) as person_count,
    coalesce(summed.session_count, 0) as session_count,
    coalesce(summed.identified_viewer_count, 0) as identified_viewer_count,
    {{ share('coalesce(summed.viewer_count, 0)', 'account.viewer_count') }} as viewer_share,
    summed.mean_media_count,
    summed.mean_session_count,
    summed.mean_watched_share,
    summed.mean_watched_share_low,
    summed.mean_watched_share_high,
    {{ share_with_interval('summed.identified_viewer_count', 'summed.viewer_count', 'identified_share') }},
    summed.mobile_share,
    {{ is_small('summed.viewer_count') }} as is_small_sample,
    summed.last_viewed_at
from rules
cross join account
left join summed on rules.viewer_cluster = summed.viewer_cluster
