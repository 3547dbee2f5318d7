select
    changes.subject_id as viewer_id,
    {{ person_id('viewers.email') }} as person_id,
    changes.value_before as cluster_before,
    changes.value as cluster_after,
    changes.observation_number,
    changes.is_rule_change,
    cast(changes.observed_at as date) as changed_on,
    changes.observed_at
from {{ ref('int_observed') }} as changes
left join {{ ref('int_viewers_identified') }} as viewers on changes.subject_id = viewers.viewer_id
where changes.kind = 'cluster' and changes.value_before is not null and changes.value is not null and changes.value <> changes.value_before
