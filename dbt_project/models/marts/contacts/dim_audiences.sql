select
    contact_list_id as audience_id,
    'list' as audience_kind,
    contact_list_name as audience_name,
    contact_count,
    true as is_valid,
    {{ utc('null') }} as updated_at
from {{ ref('stg_sendgrid__contact_lists') }}
where gone_at is null

union all

select
    contact_segment_id as audience_id,
    'segment' as audience_kind,
    contact_segment_name as audience_name,
    contact_count,
    is_valid,
    updated_at
from {{ ref('stg_sendgrid__contact_segments') }}
where gone_at is null
