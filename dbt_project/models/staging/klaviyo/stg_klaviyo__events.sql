{#- Attributions may come after the event, so they are not in the hash: a change of anything else builds the table whole. -#}
{%- set hashed = ['id', 'profile_id', 'metric_id', 'datetime', 'event_properties'] -%}
{{ growing('customer_event_id', raw={'schema': 'raw_klaviyo', 'table': 'events', 'key': 'id', 'hashed': hashed}) }}

{#- Every property that is read: its JSON is taken apart once a row, and everything else reads this table. -#}
{%- set properties = [
    'ProductID', '$flow', '$message', '$event_id', 'OrderId', '$value', 'Name', 'ProductName', 'Product Name', 'Client OS Family',
    'Client OS', 'machine_open', 'Bot Click', '$variation', 'URL', 'page', 'Email Domain', 'Inbox Provider', 'Bounce Type',
    'Quantity', 'Items', ['$attribution', '$message'], ['$attribution', '$flow'], ['$attribution', '$attributed_event_id'],
] + var('currency_properties') + var('discount_properties') -%}
{%- set of = {} -%}
{%- for path in properties -%}
    {%- do of.update({path | join('.') if path is not string else path: text_at('texts', loop.index)}) -%}
{%- endfor -%}

with source as (

    {{ readable('raw_klaviyo', 'events') }}

),

opened as (

    select *, {{ json_texts('event_properties', properties) }} as texts
    from source
    {% if is_incremental() -%}
    where {{ came_since(load_of('_dlt_load_id')) }}
    {%- endif %}

),

renamed as (

    select
        -- ids
        id as customer_event_id,
        profile_id as customer_id,
        metric_id,
        {{ of['ProductID'] }} as product_id,
        {{ of['$flow'] }} as flow_id,
        {{ of['$message'] }} as message_id,
        nullif({{ of['$variation'] }}, '') as variation_id,
        coalesce({{ of['$event_id'] }}, {{ of['OrderId'] }}) as shop_id,
        -- An ordered product names its order, or has an id of its own that begins with the order's.
        coalesce({{ of['OrderId'] }}, split_part({{ of['$event_id'] }}, ':', 1)) as shop_order_id,
        {{ load_of('_dlt_load_id') }} as load_id,

        -- text
        nullif(trim({{ of['$value'] }}), '') as value_text,
        coalesce({% for name in var('currency_properties') %}nullif(upper(trim({{ of[name] }})), ''){{ ', ' if not loop.last }}{% endfor %})
            as currency_text,
        coalesce({% for name in var('discount_properties') %}nullif(trim({{ of[name] }}), ''){{ ', ' if not loop.last }}{% endfor %})
            as discount_text,
        coalesce({{ of['Name'] }}, {{ of['ProductName'] }}, {{ of['Product Name'] }}) as product_name,
        lower(coalesce({{ of['Client OS Family'] }}, {{ of['Client OS'] }})) as operating_system,
        {{ page_address('trim(coalesce(' ~ of['URL'] ~ ', ' ~ of['page'] ~ '))') }} as link,
        nullif(lower(trim({{ of['Email Domain'] }})), '') as email_domain,
        nullif(trim({{ of['Inbox Provider'] }}), '') as inbox_provider,
        nullif(lower(trim({{ of['Bounce Type'] }})), '') as bounce_type,
        {{ of['Items'] }} as items,

        -- Relations give it; older events have it in their properties, and only name the campaign or message.
        coalesce(
            nullif(attributions, '[]'),
            case when {{ of['$attribution.$message'] }} is not null then
                concat_ws('', '[', {{ json_build([
                    ['attributed_event_id', of['$attribution.$attributed_event_id']],
                    ['flow_id', of['$attribution.$flow']],
                    ['flow_message_id', "case when " ~ of['$attribution.$flow'] ~ " is not null then " ~ of['$attribution.$message'] ~ " end"],
                    ['campaign_id', "case when " ~ of['$attribution.$flow'] ~ " is null then " ~ of['$attribution.$message'] ~ " end"],
                ]) }}, ']')
            end
        ) as attributions,

        -- numbers
        {{ number_in(of['Quantity'], 0) }} as quantity,
        {{ row_hash(hashed) }} as row_hash,

        -- booleans
        {{ is_json_text('event_properties', '$value') }} as is_value_text,
        coalesce(try_cast({{ of['machine_open'] }} as boolean), false)
            or coalesce(try_cast({{ of['Bot Click'] }} as boolean), false) as is_automatic,

        -- times
        {{ utc('datetime') }} as happened_at
    from opened

)

select * from renamed
