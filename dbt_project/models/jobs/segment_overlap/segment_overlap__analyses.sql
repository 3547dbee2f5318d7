{%- set step = var('analysis_share_step') -%}
{%- set told = var('persona_share_step') -%}

-- Segments and the pairs worth mentioning; small segments are only counted.
with

segments as (

    select * from {{ ref('dim_segments') }} where not is_small_group

),

segment_list as (

    select
        {{ sorted_list(record([
            ['member_count', two_digits('member_count', 5)],
            ['segment', label('segment_name')],
            ['only_here_share', in_steps('only_here_share', told)],
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
    from {{ ref('agg_segment_overlaps') }} as found
    join segments as a on found.segment_a_id = a.segment_id
    join segments as b on found.segment_b_id = b.segment_id
    where found.shared_count >= {{ var('smallest_group') }}

),

ranked_pairs as (

    select
        *,
        row_number() over (
            partition by pair_sort
            order by jaccard_share desc, segment_a_id, segment_b_id
        ) as position_in_sort
    from pairs

),

pair_lists as (

    select
        {{ sorted_list(
            "case when pair_sort = 'near duplicate' then "
            ~ record([
                ['jaccard', in_steps('jaccard_share', told)],
                ['segment_a', 'segment_a'],
                ['segment_b', 'segment_b'],
            ]) ~ " end"
        ) }} as near_duplicates,
        {{ sorted_list(
            "case when pair_sort = 'contained' then "
            ~ record([
                ['containment', in_steps('greatest(a_in_b_share, b_in_a_share)', told)],
                ['inner', 'case when is_a_inside then segment_a else segment_b end'],
                ['outer', 'case when is_a_inside then segment_b else segment_a end'],
            ]) ~ " end"
        ) }} as contained,
        {{ sorted_list(
            "case when pair_sort = 'overlap' then "
            ~ record([
                ['jaccard', in_steps('jaccard_share', told)],
                ['segment_a', 'segment_a'],
                ['segment_b', 'segment_b'],
                ['containment_a', in_steps('a_in_b_share', told)],
                ['containment_b', in_steps('b_in_a_share', told)],
            ]) ~ " end"
        ) }} as other_pairs
    from ranked_pairs
    where position_in_sort <= {{ var('listed_overlap_count') }}

)

select
    'account' as entity,
    'Segment overlaps' as name,
    {{ facts_with_steps([
        ['segment_count', 'segment_counts.segment_count'],
        ['small_segment_count', 'segment_counts.small_segment_count'],
        figure('profile_count', 'members.person_count', 5),
        ['near_duplicate_from', var('near_duplicate_from')],
        ['contained_from', var('contained_from')],
        ['segments', 'segment_list.segments', {
            '[].member_count': two_digits_step('members.person_count', 5), '[].only_here_share': step
        }],
        ['near_duplicates', 'pair_lists.near_duplicates', {
            '[]': var('near_duplicate_from'), '[].jaccard': step
        }],
        ['contained', 'pair_lists.contained', {'[]': var('contained_from'), '[].containment': step}],
        ['overlaps', 'pair_lists.other_pairs', {
            '[]': var('listed_overlap_from'),
            '[].jaccard': step,
            '[].containment_a': step,
            '[].containment_b': step,
        }],
    ]) }},
    members.person_count,
    {{ no_references() }} as reference_keys,
    segment_counts.measured_on
from segment_list
cross join segment_counts
cross join members
cross join pair_lists
where segment_list.large_segment_count >= 2
