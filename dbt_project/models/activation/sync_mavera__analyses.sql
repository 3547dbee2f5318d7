{%- set step = var('analysis_share_step') -%}

with

-- SG-1: the account's readers by device, client and place.
persona_list as (

    select
        {{ sorted_list(record([
            ['share', in_steps('share', step)], ['device_persona', 'device_persona'], ['is_persona', 'is_persona'],
        ])) }} as personas,
        max(total_count) as total_count,
        max(measured_to) as measured_to
    from {{ ref('device_segments') }}

),

share_lists as (

    select
        {{ sorted_list(listed('device', 'device', step)) }} as devices,
        {{ sorted_list(listed('client', 'client', step)) }} as clients,
        {{ sorted_list(listed('country', 'country', step)) }} as countries,
        {{ sorted_list(listed('province', 'province', step, [['country', 'country']])) }} as provinces,
        {{ sorted_list(listed('browser', 'browser', step)) }} as browsers,
        {{ sorted_list(listed('mailbox_provider', 'mailbox_provider', step)) }} as mailbox_providers
    from {{ ref('engagement_shares') }}

),

days as (

    select happened_on, sum(daily_unique_open_count) as daily_unique_open_count
    from {{ ref('fct_opens_by_device_daily') }}
    group by happened_on

),

busiest as (

    select max(days.daily_unique_open_count) as daily_unique_open_count
    from days
    cross join persona_list
    where {{ in_window('days.happened_on', 'persona_list.measured_to') }}

),

device_geography as (

    select
        'device-geography' as job,
        'account' as entity,
        'E-mail readers by device and country' as name,
        {{ json_build([
            ['window_days', var('engagement_window_days')],
            ['delivered', two_digits('rates.delivered_count', 5)],
            ['unique_opens', two_digits('persona_list.total_count', 5)],
            ['open_rate', in_steps('rates.unique_open_share', 0.01)],
            ['click_rate', in_steps('rates.unique_click_share', 0.01)],
            ['personas', 'persona_list.personas'],
            ['devices', 'share_lists.devices'],
            ['clients', 'share_lists.clients'],
            ['countries', 'share_lists.countries'],
            ['provinces', 'share_lists.provinces'],
            ['browsers', 'share_lists.browsers'],
            ['mailbox_providers', 'share_lists.mailbox_providers'],
        ]) }} as facts,
        cast(busiest.daily_unique_open_count as bigint) as person_count,
        persona_list.measured_to as measured_on
    from persona_list
    cross join share_lists
    cross join busiest
    cross join {{ ref('engagement_rates') }} as rates
    where persona_list.total_count > 0

),

-- WS-1: the clusters side by side.
cluster_list as (

    select
        {{ sorted_list(
            "case when viewer_count >= " ~ var('smallest_group') ~ " then "
            ~ record([
                ['share', in_steps('viewer_share', step)],
                ['viewer_cluster', 'viewer_cluster'],
                ['viewer_count', two_digits('viewer_count', 5)],
                ['mean_media_count', in_steps('mean_media_count', 0.5)],
                ['mean_watched_share', in_steps('mean_watched_share', step)],
                ['mean_session_count', in_steps('mean_session_count', 0.5)],
                ['identified_share', in_steps('identified_share', step)],
            ]) ~ " end"
        ) }} as clusters,
        {{ sorted_list(
            "case when viewer_count between 1 and " ~ (var('smallest_group') - 1) ~ " then viewer_cluster end"
        ) }} as small_clusters,
        sum(viewer_count) as viewer_count,
        sum(session_count) as session_count,
        sum(identified_viewer_count) as identified_viewer_count,
        cast(max(last_viewed_at) as date) as measured_on
    from {{ ref('viewer_clusters') }}

),

viewers as (

    select
        count(*) as viewer_count,
        count(distinct coalesce(person_id, viewer_id)) as person_count
    from {{ ref('dim_viewers') }}

),

watched as (

    select
        medias.media_id,
        medias.media_name,
        {{ share('medias.viewer_count', 'viewers.viewer_count') }} as viewer_share,
        medias.mean_watched_share
    from {{ ref('fct_media_performance') }} as medias
    cross join viewers

),

-- By the share as it leaves: among medias that are as good as equal, noise must not decide which are named.
ranked_medias as (

    select
        *,
        row_number() over (order by {{ in_steps('viewer_share', step) }} desc, media_id) as media_position
    from watched

),

media_list as (

    select
        {{ sorted_list(
            "case when viewer_share >= " ~ var('listed_from_share') ~ " then "
            ~ record([
                ['share', in_steps('viewer_share', step)],
                ['media_name', label('media_name')],
                ['mean_watched_share', in_steps('mean_watched_share', step)],
            ]) ~ " end"
        ) }} as medias
    from ranked_medias
    where media_position <= {{ var('listed_analysis_medias') }}

),

viewer_clusters as (

    select
        'viewer-clusters' as job,
        'all' as entity,
        'Viewer clusters' as name,
        {{ json_build([
            ['viewer_count', two_digits('cluster_list.viewer_count', 5)],
            ['session_count', two_digits('cluster_list.session_count', 5)],
            ['identified_share', in_steps(
                share('cluster_list.identified_viewer_count', 'cluster_list.viewer_count'), step
            )],
            ['clusters', 'cluster_list.clusters'],
            ['small_clusters', 'cluster_list.small_clusters'],
            ['medias', 'media_list.medias'],
        ]) }} as facts,
        viewers.person_count,
        cluster_list.measured_on
    from cluster_list
    cross join viewers
    cross join media_list
    where cluster_list.viewer_count > 0

),

-- WS-2: where the most played medias lose their viewers, a question per media.
drop_off_lists as (

    select
        media_id,
        {{ sorted_list(record([
            ['lost_share', in_steps('lost_share', step)],
            ['from_seconds', in_steps('from_seconds', var('drop_off_seconds'))],
            ['to_seconds', in_steps('to_seconds', var('drop_off_seconds'))],
            ['retention_before', in_steps('retention_before_share', step)],
            ['retention_after', in_steps('retention_after_share', step)],
            ['caption', 'caption_excerpt'],
        ])) }} as drop_offs,
        max(measured_on) as measured_on
    from {{ ref('media_drop_offs') }}
    where not is_small_sample
    group by media_id

),

lossy_medias as (

    select
        medias.*,
        found.drop_offs,
        found.measured_on as curve_measured_on,
        row_number() over (order by medias.play_count desc, medias.media_id) as media_position
    from drop_off_lists as found
    join {{ ref('fct_media_performance') }} as medias on found.media_id = medias.media_id
    where medias.person_count >= {{ var('smallest_group') }}

),

drop_offs as (

    select
        'drop-offs' as job,
        media_id as entity,
        concat('Drop-offs: ', {{ label('media_name') }}) as name,
        {{ json_build([
            ['media_name', label('media_name')],
            ['duration_seconds', in_steps('duration_seconds', var('drop_off_seconds'))],
            ['play_count', two_digits('play_count', 5)],
            ['mean_watched_share', in_steps('mean_watched_share', step)],
            ['drop_off_share_above', var('drop_off_share_above')],
            ['drop_off_seconds', var('drop_off_seconds')],
            ['drop_offs', 'drop_offs'],
        ]) }} as facts,
        person_count,
        curve_measured_on as measured_on
    from lossy_medias
    where media_position <= {{ var('drop_off_analysis_medias') }}

),

-- KL-3: segments and the pairs that say something; a small segment only counts.
segments as (

    select * from {{ ref('dim_segments') }} where not is_small_group

),

segment_list as (

    select
        {{ sorted_list(record([
            ['member_count', two_digits('member_count', 5)],
            ['segment', label('segment_name')],
            ['only_here_share', in_steps('only_here_share', step)],
        ])) }} as segments,
        count(*) as large_segment_count
    from segments

),

segment_counts as (

    select
        count(*) as segment_count,
        count(*) filter (where is_small_group) as small_segment_count,
        max(measured_on) as measured_on
    from {{ ref('dim_segments') }}

),

members as (

    select count(*) as person_count from {{ ref('dim_customers') }} where segment_count > 0

),

pairs as (

    select
        found.jaccard_share,
        found.segment_a_id,
        found.segment_b_id,
        {{ label('found.segment_a_name') }} as segment_a,
        {{ label('found.segment_b_name') }} as segment_b,
        found.a_in_b_share,
        found.b_in_a_share,
        found.a_in_b_share >= found.b_in_a_share as is_a_inside,
        case
            when found.is_near_duplicate then 'near duplicate'
            when found.is_contained then 'contained'
            when found.jaccard_share >= {{ var('listed_overlap_from') }} then 'overlap'
        end as pair_sort
    from {{ ref('segment_overlaps') }} as found
    join segments as a on found.segment_a_id = a.segment_id
    join segments as b on found.segment_b_id = b.segment_id
    where found.shared_count >= {{ var('smallest_group') }}

),

ranked_pairs as (

    select
        *,
        row_number() over (
            partition by pair_sort
            order by {{ in_steps('jaccard_share', step) }} desc, segment_a_id, segment_b_id
        ) as position_in_sort
    from pairs

),

pair_lists as (

    select
        {{ sorted_list(
            "case when pair_sort = 'near duplicate' then "
            ~ record([
                ['jaccard', in_steps('jaccard_share', step)],
                ['segment_a', 'segment_a'],
                ['segment_b', 'segment_b'],
            ]) ~ " end"
        ) }} as near_duplicates,
        {{ sorted_list(
            "case when pair_sort = 'contained' then "
            ~ record([
                ['containment', in_steps('greatest(a_in_b_share, b_in_a_share)', step)],
                ['inner', 'case when is_a_inside then segment_a else segment_b end'],
                ['outer', 'case when is_a_inside then segment_b else segment_a end'],
            ]) ~ " end"
        ) }} as contained,
        {{ sorted_list(
            "case when pair_sort = 'overlap' then "
            ~ record([
                ['jaccard', in_steps('jaccard_share', step)],
                ['segment_a', 'segment_a'],
                ['segment_b', 'segment_b'],
                ['containment_a', in_steps('a_in_b_share', step)],
                ['containment_b', in_steps('b_in_a_share', step)],
            ]) ~ " end"
        ) }} as other_pairs
    from ranked_pairs
    where position_in_sort <= {{ var('listed_overlap_count') }}

),

segment_overlap as (

    select
        'segment-overlap' as job,
        'account' as entity,
        'Segment overlaps' as name,
        {{ json_build([
            ['segment_count', 'segment_counts.segment_count'],
            ['small_segment_count', 'segment_counts.small_segment_count'],
            ['profile_count', two_digits('members.person_count', 5)],
            ['near_duplicate_from', var('near_duplicate_from')],
            ['contained_from', var('contained_from')],
            ['segments', 'segment_list.segments'],
            ['near_duplicates', 'pair_lists.near_duplicates'],
            ['contained', 'pair_lists.contained'],
            ['overlaps', 'pair_lists.other_pairs'],
        ]) }} as facts,
        members.person_count,
        segment_counts.measured_on
    from segment_list
    cross join segment_counts
    cross join members
    cross join pair_lists
    where segment_list.large_segment_count >= 2

),

records as (

    select * from device_geography
    union all
    select * from viewer_clusters
    union all
    select * from drop_offs
    union all
    select * from segment_overlap

)

select
    concat(job, ':', entity) as record_key,
    job,
    job as template,
    name,
    facts,
    person_count,
    to_json({{ text_list([]) }}) as reference_keys,
    measured_on
from records
