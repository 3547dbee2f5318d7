{# What needs attention: the action, and the reason in numbers. Steps without a reason have no row. -#}
{# Of lagging messages that equally many people receive, the id decides, on any engine. -#}
{%- set most_received = "case when is_laggard then " ~ record([['value', 'received_count'], ['id', 'flow_message_id']]) ~ " end" -%}

with steps as (

    -- Missing data makes everything else wrong, so it comes first.
    {% call next_step('late-data', 1, 'freshness', ref('fct_source_freshness'), "is_late") %}
        concat_ws('', 'Find out why ', min(vendor), ' delivers no new data') as to_do,
        concat_ws('',
            {{ one_or_many('count(*)', 'source is', 'sources are') }}, ' late; the oldest has had no new row for ',
            {{ counted('max(hours_old)') }}, ' hours'
        ) as because
    {%- endcall %}

    union all

    {% call next_step('failed-data', 1, 'freshness', ref('fct_source_freshness'), "last_outcome = 'failed'") %}
        'Run make ingest again',
        concat_ws('', {{ one_or_many('count(*)', 'source was', 'sources were') }}, ' not loaded by the last run, including ', min(vendor), ' ', min(resource))
    {%- endcall %}

    union all

    {% call next_step('missing-metrics', 1, 'freshness', ref('dim_metric_roles'), "is_missing") %}
        'Name the account''s metrics in dbt_project/seeds/klaviyo_metric_names.csv',
        concat_ws('', 'Klaviyo has no metric with a known name for ', {{ dbt.listagg('said', "', '", 'order by said') }}, ', so nothing is counted there')
    {%- endcall %}

    union all

    {% call next_step('failed-runs', 1, 'runs', ref('fct_runs'), "is_latest and outcome <> 'well'") %}
        concat_ws('', 'Find out why the last run of ', max_by(step, started_at), ' did not succeed'),
        coalesce(max_by(detail, started_at) filter (where detail is not null), 'it left no message')
    {%- endcall %}

    union all

    {% call next_step('quarantined-rows', 2, 'freshness', ref('fct_quarantined_rows'), "row_count > 0", count='sum(row_count)') %}
        concat_ws('', 'Ask ', max_by(vendor, row_count), ' about its ', max_by(things, row_count)),
        concat_ws('', {{ one_or_many('sum(row_count)', 'row is', 'rows are') }}, ' left out: ', max_by(reason, row_count))
    {%- endcall %}

    union all

    {% call next_step('unknown-records', 1, 'records', ref('fct_record_states'), "standing = 'unknown'") %}
        'Run make activate, which looks them up',
        concat_ws('', {{ one_or_many('count(*)', 'record was', 'records were') }}, ' sent to Mavera and never answered')
    {%- endcall %}

    union all

    {% call next_step('failed-records', 2, 'records', ref('fct_record_states'), "standing = 'failed'") %}
        'Run make plan to see what failed',
        concat_ws('', {{ one_or_many('count(*)', 'record', 'records') }}, ' failed in Mavera, including ', min(record_id))
    {%- endcall %}

    union all

    -- A group that is still too small needs no decision.
    {% call next_step('unsent-records', 3, 'records', ref('fct_record_states'), "standing = 'not sent' and not is_small_group") %}
        'Run make plan and decide what to send',
        concat_ws('', {{ one_or_many('count(*)', 'record is', 'records are') }}, ' wanted and not in Mavera yet: withheld or not activated')
    {%- endcall %}

    union all

    {% call next_step('unwanted-records', 6, 'records', ref('fct_record_states'), "standing = 'unwanted'") %}
        'Delete unwanted records in Mavera',
        concat_ws('', {{ one_or_many('count(*)', 'record is', 'records are') }}, ' no longer wanted by any job')
    {%- endcall %}

    union all

    {% call next_step('top-tier-at-risk', 3, 'clv-churn', ref('agg_customers_by_tier'), "clv_tier = 'top' and churn_band = 'high'", count='sum(customer_count)') %}
        'Win back the best customers',
        concat_ws('', {{ one_or_many('sum(customer_count)', 'customer', 'customers') }}, ' in the top tier will probably not order again')
    {%- endcall %}

    union all

    {% call next_step('flow-laggards', 4, 'flow-messages', ref('fct_flow_messages'), "is_compared", count='count(*) filter (where is_laggard)',
        answer="concat_ws('', 'flow-rewrites:', max_by(flow_message_id, " ~ most_received ~ "))") %}
        concat_ws('', 'Rewrite “', max_by(message_name, {{ most_received }}), '”'),
        concat_ws('',
            {{ counted('count(*) filter (where is_laggard)') }}, ' of ', {{ one_or_many('count(*)', 'compared flow message', 'compared flow messages') }},
            case when count(*) filter (where is_laggard) = 1 then ' lags behind' else ' lag behind; this one reaches the most people' end
        )
    {%- endcall %}

    union all

    {% call next_step('drop-offs', 4, 'drop-offs', ref('fct_media_drop_offs'), "not is_small_sample",
        answer="concat_ws('', 'drop-offs:', max_by(media_id, lost_share))") %}
        concat_ws('', 'Cut “', max_by(media_name, lost_share), '” at second ', {{ counted('max_by(from_seconds, lost_share)') }}),
        concat_ws('',
            {{ percent('max(lost_share)') }}, ' of its plays end between then and second ', {{ counted('max_by(to_seconds, lost_share)') }}, '; ',
            {{ one_or_many('count(*)', 'drop-off', 'drop-offs') }}, ' in ', {{ one_or_many('count(distinct media_id)', 'video', 'videos') }}, ' in all'
        )
    {%- endcall %}

    union all

    {% call next_step('losing-variations', 5, 'ab-tests', ref('fct_ab_tests'), "outcome = 'loser' and is_sent_to_rest", count='count(distinct single_send_id)',
        answer="concat_ws('', 'ab-tests:send_', substr(replace(max_by(single_send_id, sent_at), '-', ''), 1, 12))") %}
        'Send the winners of A/B tests',
        concat_ws('',
            'in ', {{ one_or_many('count(distinct single_send_id)', 'test', 'tests') }}, ' the loser went to everybody else, most recently in “',
            max_by(single_send_name, sent_at), '”'
        )
    {%- endcall %}

    union all

    {% call next_step('near-duplicates', 5, 'segments', ref('agg_segment_overlaps'), "is_near_duplicate", answer="'segment-overlap:account'") %}
        concat_ws('', 'Keep one of “', max_by(segment_a_name, jaccard_share), '” and “', max_by(segment_b_name, jaccard_share), '”'),
        concat_ws('', {{ one_or_many('count(*)', 'pair of segments contains', 'pairs of segments contain') }}, ' nearly the same people')
    {%- endcall %}

    union all

    {%- set offered = 'case when is_offered then lift end' %}
    {% call next_step('unsold-pairs', 5, 'products', ref('agg_product_pairs'), "is_affinity", count='count(*) filter (where is_offered)',
        answer="concat_ws('', 'product-affinity:', max_by(product_a_id, " ~ offered ~ "), '_', max_by(product_b_id, " ~ offered ~ "))") %}
        concat_ws('', 'Offer “', max_by(product_a_name, {{ offered }}), '” with “', max_by(product_b_name, {{ offered }}), '”'),
        concat_ws('',
            {{ one_or_many('count(*)', 'pair sells', 'pairs sell') }}, ' together significantly more often than chance predicts',
            case when count(*) > count(*) filter (where is_offered)
                then concat_ws('', ', ', {{ counted('count(*) filter (where is_offered)') }}, ' of them on offer') else '' end
        )
    {%- endcall %}

    union all

    -- What came back is a reason as well.
    {% call next_step('confirmed-hypotheses', 4, 'answers', ref('fct_study_verdicts'), "asked = 'all' and verdict = 'confirmed'",
        answer="max_by(record_key, confirming_share)") %}
        concat_ws('', 'Test with customers: ', trim(trailing '.' from max_by(hypothesis, confirming_share))),
        concat_ws('',
            'in a focus group, ', {{ percent('max(confirming_share)') }}, ' of ', {{ counted('max_by(answer_count, confirming_share)') }},
            ' synthetic answers speak for it'
        )
    {%- endcall %}

    union all

    {% call next_step('texts-to-send', 4, 'leads', ref('agg_lead_cohorts'), "is_written and mailable_lead_count > 0",
        answer="concat_ws('', 'viewer-follow-ups:', max_by(cohort, mailable_lead_count))") %}
        'Send the follow-up texts',
        concat_ws('',
            {{ one_or_many('count(*)', 'text is', 'texts are') }}, ' written; ',
            {{ one_or_many('sum(mailable_lead_count)', 'recent lead', 'recent leads') }}, ' may be mailed'
        )
    {%- endcall %}

    union all

    {% call next_step('worse-after', 3, 'experiments', ref('fct_experiments'), "outcome = 'worse'", answer='max_by(record_key, put_in_at)') %}
        concat_ws('', 'Undo the change of “', max_by(coalesce(title, record_id), put_in_at), '”'),
        concat_ws('',
            max_by(measure, put_in_at), ' fell from ', {{ percent('max_by(before_share, put_in_at)') }}, ' to ',
            {{ percent('max_by(after_share, put_in_at)') }}, ' after it, more than chance explains'
        )
    {%- endcall %}

)

select
    steps.step,
    steps.urgency,
    steps.figure,
    steps.affected_count,
    case
        when steps.step = 'flow-laggards' and answers.to_do like 'Put %' then concat_ws('', 'Put the new text of “', answers.title, '” in place')
        else steps.to_do
    end as to_do,
    steps.because,
    answers.record_id,
    answers.job as answer_job,
    case answers.kind
        when 'analyses' then concat_ws('', 'Mavera recommends: ', answers.recommendation)
        when 'generations' then 'Mavera has written it'
        when 'focus-groups' then concat_ws('', 'The personas were asked', case when answers.to_do is null then '' else concat_ws('', '. ', answers.to_do) end)
    end as advice
from steps
left join {{ ref('fct_answers') }} as answers on steps.record_key = answers.record_key and answers.kind <> 'personas'
where steps.affected_count > 0
