select
    'wistia' as vendor,
    coalesce(
        case
            when count(*) = 0 then null
            {%- if 'unknown' not in var('mailed_consents') %}
            -- Only Klaviyo has consent: without it, nobody is known to accept mail, and nobody gets any.
            when not (select max(is_people_read) from {{ ref('dim_vendors') }} where vendor = 'klaviyo') then
                concat_ws('', {{ one_or_many('count(*)', 'lead', 'leads') }}, '; consent unknown without Klaviyo''s profiles')
            {%- endif %}
            else concat_ws('',
                case when count(*) filter (where may_be_mailed) = 0 then 'None' else {{ counted('count(*) filter (where may_be_mailed)') }} end,
                ' of ', {{ one_or_many('count(*)', 'lead', 'leads') }}, ' may be mailed'
            )
        end,
        'No leads yet'
    ) as finding
from {{ ref('fct_viewer_leads') }}
