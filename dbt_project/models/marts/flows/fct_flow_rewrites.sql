{%- set figures = ['received_count', 'recipient_count', 'opened_count', 'clicked_count', 'order_count', 'other_currency_order_count', 'revenue'] -%}

with last_day as (

    select max(received_at) as measured_at from {{ ref('int_flow_receipts') }}

),

rewrites as (

    select
        calls.call_id,
        calls.record_key,
        calls.remote_id,
        replace(calls.record_key, 'flow-rewrites:', '') as flow_message_id,
        messages.flow_name,
        messages.message_name,
        messages.channel,
        {{ json_text('calls.facts', 'message_text') }} as present_text,
        texts.generated_text as new_text,
        {{ json_text('calls.facts', 'message_parts') }} as message_parts,
        calls.ended_at as written_at,
        -- Nothing reports that the text was put in place. The message's next edit counts as that, or what a person noted.
        put_in.put_in_at as edited_at
    from {{ ref('int_mavera_calls') }} as calls
    left join {{ ref('int_records_put_in') }} as put_in
        on put_in.record_id = concat_ws('', 'generations/', calls.record_key) and put_in.put_in_at >= calls.ended_at
    left join {{ ref('fct_flow_messages') }} as messages
        on calls.record_key = concat_ws('', 'flow-rewrites:', messages.flow_message_id)
    left join {{ ref('fct_generations') }} as texts on calls.remote_id = texts.generation_id
    where calls.kind = 'generations'
        and calls.job = 'flow-rewrites'
        and calls.state = 'done'

),

parts as (

    select call_id, new_text, {{ explode_rows('message_parts') }} as part
    from rewrites

),

kept as (

    select
        call_id,
        {{ json_text('part', 'part') }} as part,
        {{ dbt.position(json_text('part', 'part'), "coalesce(new_text, '')") }} > 0 as is_kept
    from parts

),

lost as (

    select
        call_id,
        count(*) as part_count,
        count(*) filter (where not is_kept) as lost_part_count,
        {{ dbt.listagg('case when not is_kept then part end', "', '", 'order by part') }} as lost_parts
    from kept
    group by call_id

),

parted as (

    select
        rewrites.call_id,
        receipts.*,
        receipts.received_at >= coalesce(rewrites.edited_at, rewrites.written_at) as is_after
    from rewrites
    cross join last_day
    join {{ ref('int_flow_receipts') }} as receipts on rewrites.flow_message_id = receipts.flow_message_id
    where abs({{ dbt.datediff('coalesce(rewrites.edited_at, rewrites.written_at)', 'receipts.received_at', 'hour') }})
        <= 24 * {{ var('flow_window_days') }}
        -- Recent messages have had less time to be opened than those before the edit.
        and (
            receipts.received_at < coalesce(rewrites.edited_at, rewrites.written_at)
            or {{ dbt.datediff('receipts.received_at', 'last_day.measured_at', 'day') }} >= {{ var('flow_settled_days') }}
        )

),

counted as (

    select
        call_id,
        {%- for part, is_it in [['before', 'not is_after'], ['after', 'is_after']] %}
        count(*) filter (where {{ is_it }}) as {{ part }}_received_count,
        count(distinct case when {{ is_it }} then customer_id end) as {{ part }}_recipient_count,
        count(*) filter (where {{ is_it }} and is_opened) as {{ part }}_opened_count,
        count(*) filter (where {{ is_it }} and is_clicked) as {{ part }}_clicked_count,
        {%- for count in ['order_count', 'other_currency_order_count'] %}
        cast(coalesce(sum({{ count }}) filter (where {{ is_it }}), 0) as bigint) as {{ part }}_{{ count }},
        {%- endfor %}
        cast(coalesce(sum(revenue) filter (where {{ is_it }}), 0) as decimal(18, 2)) as {{ part }}_revenue
        {{- ',' if not loop.last }}
        {%- endfor %}
    from parted
    group by call_id

),

filled as (

    select
        rewrites.*,
        coalesce(lost.part_count, 0) as part_count,
        coalesce(lost.lost_part_count, 0) as lost_part_count,
        nullif(lost.lost_parts, '') as lost_parts,
        {%- for part in ['before', 'after'] %}
        {%- for figure in figures %}
        coalesce(counted.{{ part }}_{{ figure }}, 0) as {{ part }}_{{ figure }}{{ ',' if not loop.last }}
        {%- endfor %}{{ ',' if not loop.last }}
        {%- endfor %}
    from rewrites
    left join counted on rewrites.call_id = counted.call_id
    left join lost on rewrites.call_id = lost.call_id

),

compared as (

    select
        *,
        {{ two_proportion_z(
            'after_clicked_count', 'after_received_count', 'before_clicked_count', 'before_received_count'
        ) }} as click_z_score,
        {{ two_proportion_z(
            'after_opened_count', 'after_received_count', 'before_opened_count', 'before_received_count'
        ) }} as open_z_score
    from filled

)

select
    call_id as generation_call_id,
    flow_message_id,
    record_key,
    remote_id as generation_id,
    flow_name,
    message_name,
    channel,
    account.currency,
    present_text,
    new_text,
    lost_parts,
    {%- for rate, _ in [['open', 'opened'], ['click', 'clicked']] %}
    case
        when edited_at is null then 'not edited'
        {%- if rate == 'open' %}
        when channel <> 'email' then 'not measured'
        {%- endif %}
        when least(before_received_count, after_received_count) < {{ var('flow_rewrite_received_from') }} then 'too early'
        when {{ two_sided_p(rate ~ '_z_score') }} >= {{ var('flow_rewrite_p_below') }} then 'no difference'
        when {{ rate }}_z_score > 0 then 'better'
        else 'worse'
    end as {{ rate }}_outcome,
    {%- endfor %}
    part_count,
    lost_part_count,
    {%- for part in ['before', 'after'] %}
    {%- for figure in figures %}
    {{ part }}_{{ figure }},
    {%- endfor %}
    {%- for rate, done in [['open', 'opened'], ['click', 'clicked']] %}
    {%- for end, sql in [
        ['', share(part ~ '_' ~ done ~ '_count', part ~ '_received_count')],
        ['_low', wilson_low(part ~ '_' ~ done ~ '_count', part ~ '_received_count')],
        ['_high', wilson_high(part ~ '_' ~ done ~ '_count', part ~ '_received_count')],
    ] %}
    {{ 'case when channel = \'email\' then ' if rate == 'open' }}{{ sql }}{{ ' end' if rate == 'open' }}
        as {{ part }}_{{ rate }}_share{{ end }},
    {%- endfor %}
    {%- endfor %}
    {{ share(part ~ '_revenue', part ~ '_received_count') }} as {{ part }}_revenue_per_recipient,
    {%- endfor %}
    edited_at is not null as is_edited,
    written_at,
    edited_at
from compared
cross join {{ ref('int_account_currency') }} as account
