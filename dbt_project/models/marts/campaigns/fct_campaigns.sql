with texts as (

    select
        campaign_id,
        count(*) as message_count,
        min(message_text) as message_text
    from {{ ref('stg_klaviyo__campaign_messages') }}
    group by campaign_id

),

counted as (

    select
        campaign_id,
        count(*) as received_count,
        count(*) filter (where open_count > 0) as opened_count,
        count(*) filter (where click_count > 0) as clicked_count,
        count(*) filter (where order_count > 0) as converted_count,
        cast(sum(order_count) as bigint) as order_count,
        cast(sum(other_currency_order_count) as bigint) as other_currency_order_count,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        cast(sum(returned_amount) as decimal(18, 2)) as returned_amount
    from {{ ref('int_campaign_recipients') }}
    group by campaign_id

),

reports as (

    select
        campaign_id,
        measured_on,
        cast(sum(received_count) as bigint) as received_count,
        cast(sum(clicked_count) as bigint) as clicked_count,
        cast(sum(converted_count) as bigint) as converted_count,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        row_number() over (partition by campaign_id order by measured_on desc) as recency
    from {{ ref('stg_klaviyo__campaign_values') }}
    group by campaign_id, measured_on

),

measured as (

    select
        campaigns.*,
        texts.message_count,
        texts.message_text,
        coalesce(counted.received_count, 0) as received_count,
        -- Phones do not report opens of texts.
        case when campaigns.channel = 'email' then coalesce(counted.opened_count, 0) end as opened_count,
        coalesce(counted.clicked_count, 0) as clicked_count,
        coalesce(counted.converted_count, 0) as converted_count,
        coalesce(counted.order_count, 0) as order_count,
        coalesce(counted.other_currency_order_count, 0) as other_currency_order_count,
        coalesce(counted.revenue, 0) as revenue,
        coalesce(counted.returned_amount, 0) as returned_amount
    from {{ ref('stg_klaviyo__campaigns') }} as campaigns
    left join texts on campaigns.campaign_id = texts.campaign_id
    left join counted on campaigns.campaign_id = counted.campaign_id
    where campaigns.sent_at is not null

)

select
    measured.campaign_id,
    measured.campaign_name,
    {{ name_stem('measured.campaign_name') }} as campaign_stem,
    measured.channel,
    measured.message_text,
    account.currency,
    coalesce(measured.message_count, 0) as message_count,
    measured.received_count,
    measured.opened_count,
    measured.clicked_count,
    measured.converted_count,
    measured.order_count,
    measured.other_currency_order_count,
    cast(measured.revenue as decimal(18, 2)) as revenue,
    cast(measured.returned_amount as decimal(18, 2)) as returned_amount,
    cast(measured.revenue - measured.returned_amount as decimal(18, 2)) as net_revenue,
    {% for part in ['opened', 'clicked', 'converted'] -%}
    {{ share_with_interval('measured.' ~ part ~ '_count', 'measured.received_count', part ~ '_share') }},
    {% endfor -%}
    {{ as_decimal(share('measured.revenue', 'measured.received_count'), 18, 2) }} as revenue_per_recipient,
    reports.received_count as reported_received_count,
    reports.clicked_count as reported_clicked_count,
    reports.converted_count as reported_converted_count,
    reports.revenue as reported_revenue,
    measured.is_archived,
    {{ is_small('measured.received_count') }} as is_small_sample,
    reports.measured_on,
    measured.sent_at
from measured
cross join {{ ref('int_account_currency') }} as account
left join reports on measured.campaign_id = reports.campaign_id and reports.recency = 1
