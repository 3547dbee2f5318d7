select
    watched.viewer_id,
    coalesce(visitors.email, watched.email) as email,
    watched.country,
    watched.region,
    coalesce(visitors.browser, watched.browser) as browser,
    coalesce(visitors.platform, watched.platform) as platform,
    visitors.load_count,
    visitors.play_count,
    coalesce(visitors.is_mobile, watched.is_mobile) as is_mobile
from {{ ref('int_viewers_watched') }} as watched
left join {{ ref('stg_wistia__visitors') }} as visitors on watched.viewer_id = visitors.viewer_id
