with cells as (

    select * from {{ ref('fct_media_retention') }}

),

-- Plays are compared, not shares: whole numbers are not rounded at the threshold.
losses as (

    select
        earlier.media_id,
        earlier.media_name,
        earlier.starting_play_count,
        earlier.position_seconds as from_seconds,
        later.position_seconds as to_seconds,
        earlier.play_count as play_count_before,
        later.play_count as play_count_after,
        earlier.is_small_sample,
        earlier.measured_on
    from cells as earlier
    join cells as later
        on earlier.media_id = later.media_id
        and later.cell_place = earlier.cell_place
            + greatest(1, cast(round({{ var('drop_off_seconds') }} / nullif(earlier.cell_seconds, 0)) as bigint))
    where earlier.play_count - later.play_count
        > {{ var('drop_off_share_above') }} * earlier.starting_play_count

),

spaced as (

    select
        *,
        from_seconds - lag(from_seconds) over (partition by media_id order by from_seconds) as gap_seconds
    from losses

),

numbered as (

    select
        *,
        sum(case when gap_seconds < {{ var('drop_off_merge_seconds') }} then 0 else 1 end) over (
            partition by media_id order by from_seconds rows between unbounded preceding and current row
        ) as stretch
    from spaced

),

merged as (

    select
        media_id,
        stretch,
        min(media_name) as media_name,
        min(starting_play_count) as starting_play_count,
        min(from_seconds) as from_seconds,
        max(to_seconds) as to_seconds,
        min_by(play_count_before, from_seconds) filter (where play_count_before is not null) as play_count_before,
        max_by(play_count_after, to_seconds) filter (where play_count_after is not null) as play_count_after,
        bool_or(is_small_sample) as is_small_sample,
        min(measured_on) as measured_on
    from numbered
    group by media_id, stretch

),

ranked as (

    select
        *,
        play_count_before - play_count_after as lost_play_count,
        cast(row_number() over (
            partition by media_id order by play_count_before - play_count_after desc, from_seconds
        ) as bigint) as drop_off_number,
        -- In whole steps, so that a shift of a second does not change the text.
        {{ in_steps('from_seconds', var('drop_off_seconds')) }} - {{ var('drop_off_seconds') }} as words_from_seconds,
        {{ in_steps('to_seconds', var('drop_off_seconds')) }} as words_to_seconds
    from merged

),

words as (

    select
        ranked.media_id,
        ranked.drop_off_number,
        {{ text_in_order('cues.caption', 'cues.cue_number') }} as caption
    from ranked
    join {{ ref('int_captions_cut_to_cues') }} as cues
        on ranked.media_id = cues.media_id
        and cues.is_preferred
        and cues.started_seconds < ranked.words_to_seconds
        and cues.ended_seconds > ranked.words_from_seconds
    group by ranked.media_id, ranked.drop_off_number

)

select
    ranked.media_id,
    ranked.drop_off_number,
    ranked.media_name,
    nullif(trim(substr(words.caption, 1, {{ var('caption_excerpt_characters') }})), '') as caption_excerpt,
    ranked.starting_play_count,
    ranked.lost_play_count,
    ranked.from_seconds,
    ranked.to_seconds,
    {{ share('ranked.play_count_before', 'ranked.starting_play_count') }} as retention_before_share,
    {{ share('ranked.play_count_after', 'ranked.starting_play_count') }} as retention_after_share,
    {{ share('ranked.lost_play_count', 'ranked.starting_play_count') }} as lost_share,
    ranked.is_small_sample,
    ranked.measured_on
from ranked
left join words on ranked.media_id = words.media_id and ranked.drop_off_number = words.drop_off_number
where ranked.drop_off_number <= {{ var('drop_offs_per_media') }}
