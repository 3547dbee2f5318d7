with members as (

    select segment_id, customer_id from {{ ref('stg_klaviyo__segment_members') }}

),

segments as (

    select segment_id, segment_name, member_count from {{ ref('dim_segments') }}

),

shared as (

    select
        a.segment_id as segment_a_id,
        b.segment_id as segment_b_id,
        count(*) as shared_count
    from members as a
    join members as b on a.customer_id = b.customer_id and a.segment_id < b.segment_id
    group by a.segment_id, b.segment_id

),

pairs as (

    select
        a.segment_id as segment_a_id,
        b.segment_id as segment_b_id,
        a.segment_name as segment_a_name,
        b.segment_name as segment_b_name,
        a.member_count as member_a_count,
        b.member_count as member_b_count,
        coalesce(shared.shared_count, 0) as shared_count
    from segments as a
    join segments as b on a.segment_id < b.segment_id
    left join shared on a.segment_id = shared.segment_a_id and b.segment_id = shared.segment_b_id

),

measured as (

    select
        *,
        {{ share('shared_count', 'member_a_count + member_b_count - shared_count') }} as jaccard_share,
        {{ share('shared_count', 'member_a_count') }} as a_in_b_share,
        {{ share('shared_count', 'member_b_count') }} as b_in_a_share
    from pairs

)

select
    segment_a_id,
    segment_b_id,
    segment_a_name,
    segment_b_name,
    member_a_count,
    member_b_count,
    shared_count,
    jaccard_share,
    a_in_b_share,
    b_in_a_share,
    coalesce(jaccard_share >= {{ var('near_duplicate_from') }}, false) as is_near_duplicate,
    coalesce(greatest(a_in_b_share, b_in_a_share) >= {{ var('contained_from') }}, false) as is_contained
from measured
