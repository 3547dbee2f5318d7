with contacts as (

    select * from {{ ref('int_contacts_grouped') }}

),

totals as (

    select
        count(*) as total_contact_count,
        count(contact_group) as grouped_contact_count
    from contacts

),

measured as (

    {{ people_read() }}

),

counted as (

    select
        contacts.contact_group,
        contacts.role,
        contacts.industry,
        count(*) as contact_count,
        -- If nobody can be matched, the count is unknown, not zero.
        case when bool_or(measured.are_viewers_read) then count(*) filter (where people.viewer_count > 0) end
            as viewer_contact_count,
        case when bool_or(measured.are_customers_read) then count(*) filter (where people.customer_count > 0) end
            as customer_contact_count,
        max(contacts.updated_at) as last_updated_at
    from contacts
    cross join measured
    left join {{ ref('int_people_matched') }} as people on contacts.person_id = people.person_id
    where contacts.contact_group is not null
    group by contacts.contact_group, contacts.role, contacts.industry

),

-- By the count as it is sent: among nearly equal groups, noise must not decide which are sent.
ranked as (

    select
        *,
        cast(row_number() over (order by {{ two_digits('contact_count') }} desc, contact_group) as bigint) as size_position,
        sum(contact_count) over (partition by role) as role_contact_count,
        sum(contact_count) over (partition by industry) as industry_contact_count
    from counted

),

-- Of several words in one role, the first row of the seed counts: a marketing director is in marketing.
worded as (

    select
        counted.contact_group,
        min_by(words.family, words.word_position) filter (where words.word_kind = 'role' and words.family is not null) as role_family,
        min_by(words.family, words.word_position) filter (where words.word_kind = 'industry' and words.family is not null) as industry_family,
        max(words.shown_as) filter (where words.word_kind = 'role' and words.word = counted.role) as role_shown,
        max(words.shown_as) filter (where words.word_kind = 'industry' and words.word = counted.industry) as industry_shown
    from counted
    left join {{ ref('contact_words') }} as words
        on concat_ws('', ' ', case words.word_kind when 'role' then counted.role else counted.industry end, ' ')
        like concat_ws('', '% ', words.word, ' %')
    group by counted.contact_group

)

select
    ranked.contact_group,
    concat_ws('',
        coalesce(worded.role_shown, concat_ws('', {{ capitalized('ranked.role') }}, ' contacts')),
        ' in ',
        coalesce(worded.industry_shown, {{ capitalized('ranked.industry') }})
    ) as group_name,
    ranked.role,
    ranked.industry,
    worded.role_family,
    worded.industry_family,
    ranked.contact_count,
    totals.grouped_contact_count,
    totals.total_contact_count,
    ranked.size_position,
    {{ share_with_interval('ranked.contact_count', 'totals.grouped_contact_count', 'contact_share') }},
    {{ share('ranked.contact_count', 'ranked.role_contact_count') }} as share_of_role,
    {{ share('ranked.contact_count', 'ranked.industry_contact_count') }} as share_of_industry,
    {{ share('ranked.viewer_contact_count', 'ranked.contact_count') }} as viewer_share,
    {{ share('ranked.customer_contact_count', 'ranked.contact_count') }} as customer_share,
    ranked.contact_count < {{ var('smallest_group') }} as is_small_group,
    ranked.contact_count >= {{ var('smallest_group') }}
        and ranked.size_position <= {{ var('contact_group_count') }} as is_selected,
    {{ is_small('ranked.contact_count') }} as is_small_sample,
    ranked.last_updated_at
from ranked
join worded on ranked.contact_group = worded.contact_group
cross join totals
