-- Plays by day as counted by Wistia, and viewing sessions, over the days that both report completely.
with sessions as (

    select
        media_id,
        cast(viewed_at as date) as played_on,
        count(*) as play_count
    from {{ ref('stg_wistia__viewing_events') }}
    where viewed_at is not null
    group by media_id, cast(viewed_at as date)

),

days as (

    select
        days.media_id,
        days.play_count,
        days.played_on,
        medias.media_name
    from {{ ref('stg_wistia__media_days') }} as days
    join {{ ref('stg_wistia__medias') }} as medias on days.media_id = medias.media_id
    where medias.gone_at is null

),

loaded as (

    select
        (select min(played_on) from sessions) as first_session_on,
        (select max(played_on) from sessions) as last_session_on,
        min(played_on) as first_day_on,
        max(played_on) as last_day_on
    from days

),

bounds as (

    select
        greatest(first_session_on, first_day_on) as after_on,
        least(last_session_on, last_day_on) as before_on,
        case when first_session_on is null then 'no sessions are loaded' end as reason
    from loaded

),

compared as (

    select
        coalesce(days.media_id, sessions.media_id) as media_id,
        coalesce(days.played_on, sessions.played_on) as played_on,
        coalesce(sessions.play_count, 0) as ours,
        coalesce(days.play_count, 0) as theirs
    from days
    full outer join sessions on days.media_id = sessions.media_id and days.played_on = sessions.played_on
    -- Days of deleted or unlisted medias are no longer read.
    where coalesce(days.media_id, sessions.media_id) in (select media_id from days)

),

whole as (

    select compared.*, bounds.reason, bounds.before_on
    from compared
    cross join bounds
    where bounds.reason is not null or (compared.played_on > bounds.after_on and compared.played_on < bounds.before_on)

),

names as (

    select media_id, min(media_name) as media_name from days group by media_id

),

told as (

    select
        'media' as subject_kind,
        whole.media_id as subject_id,
        min(names.media_name) as subject_name,
        'all days' as period,
        min(whole.reason) as reason,
        sum(whole.ours) as ours,
        sum(whole.theirs) as theirs,
        max(whole.before_on) as measured_on
    from whole
    join names on whole.media_id = names.media_id
    group by whole.media_id

    union all

    select 'account', 'account', null, {{ month_of('played_on') }}, min(reason), sum(ours), sum(theirs), max(before_on)
    from whole
    group by {{ month_of('played_on') }}

)

{{ numbers_compared('wistia', measure="'played'") }}
