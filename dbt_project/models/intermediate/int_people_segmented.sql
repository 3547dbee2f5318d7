with contacts as (

    select person_id, role, industry from {{ ref('int_contacts_grouped') }} where person_id is not null

)

select person_id, 'everybody' as segment_kind, 'everybody' as segment_id, 'everybody' as segment_name
from {{ ref('int_people_matched') }}
union
select {{ person_id('profiles.email') }}, 'segment', segments.segment_id, segments.segment_name
from {{ ref('stg_klaviyo__segment_members') }} as members
join {{ ref('stg_klaviyo__segments') }} as segments on members.segment_id = segments.segment_id
join {{ ref('stg_klaviyo__profiles') }} as profiles on members.customer_id = profiles.customer_id
where profiles.email is not null
union
select person_id, 'role', role, role from contacts where role is not null
union
select person_id, 'industry', industry, industry from contacts where industry is not null
union
select consents.person_id, 'tier', tiered.clv_tier, tiered.clv_tier
from {{ ref('int_customers_tiered') }} as tiered
join {{ ref('int_customers_consented') }} as consents on tiered.customer_id = consents.customer_id
where consents.person_id is not null and tiered.clv_tier <> 'no_prediction'
union
select {{ person_id('viewers.email') }}, 'viewers', clustered.viewer_cluster, replace(clustered.viewer_cluster, '_', ' ')
from {{ ref('int_viewers_clustered') }} as clustered
join {{ ref('int_viewers_identified') }} as viewers on clustered.viewer_id = viewers.viewer_id
where viewers.email is not null
