{# The valid values of raw fields. Vendors serve impossible ones: NaN, 1e17, a duration of 0, the year 9999. Such a value is null
   from staging on and its row stays; a row with an unreadable key is left out. stg_operations__unread_values counts both. #}

{# Reasons why a value of a kind cannot be read, each with the SQL that finds it. NaN sorts above every number. #}
{% macro unreadable(kind, x) -%}
    {%- set text = 'trim(cast(' ~ x ~ ' as ' ~ dbt.type_string() ~ '))' -%}
    {#- Not by `like`, which takes ten times as long on a long text, and trimmed only where that matters. -#}
    {%- set json = 'cast(' ~ x ~ ' as ' ~ dbt.type_string() ~ ')' -%}
    {%- set begins_otherwise = 'case when left(' ~ json ~ ", 1) = '%s' then false else left(ltrim(" ~ json ~ "), 1) <> '%s' end" -%}
    {%- set too_large = ['above a million million, or not a number', x ~ ' > 1e12'] -%}
    {{ return({
        'count': [['below 0', x ~ ' < 0'], too_large],
        'amount': [['below minus a million million', x ~ ' < -1e12'], too_large],
        'share': [['below 0', x ~ ' < 0'], ['far above 1, or not a number', x ~ ' > ' ~ var('share_far_above')]],
        'probability': [['below 0', x ~ ' < 0'], ['above 1, or not a number', x ~ ' > 1']],
        'seconds': [['below a hundredth', x ~ ' < 0.01'], ['above a year, or not a number', x ~ ' > 31622400']],
        'moment': [['before 1970', x ~ ' < ' ~ utc("'1970-01-01 00:00:00+00'")],
                   ['after 2099', x ~ ' >= ' ~ utc("'2100-01-01 00:00:00+00'")]],
        'day': [['before 1970', x ~ " < cast('1970-01-01' as date)"], ['after 2099', x ~ " > cast('2099-12-31' as date)"]],
        'needed': [['missing', 'nullif(' ~ text ~ ", '') is null"]],
        'object': [['not an object', begins_otherwise | replace('%s', '{')]],
        'list': [['not a list', begins_otherwise | replace('%s', '[')]],
    }[kind]) }}
{%- endmacro %}

{# The value if it can be read. A share slightly above 1 is 1. #}
{% macro readable_value(kind, x) -%}
    {%- set rules = [] -%}
    {%- for reason, rule in unreadable(kind, x) -%}{%- do rules.append(rule) -%}{%- endfor -%}
    {%- set value = 'least(1, ' ~ x ~ ')' if kind == 'share' else x -%}
    case when not ({{ rules | join(' or ') }}) then {{ value }} end
{%- endmacro %}

{# A JSON number as text: null if it is not a number, not finite or beyond a million million; `least` excludes smaller ones. #}
{% macro number_in(text, least=-1e12) -%}
    case when try_cast({{ text }} as double) between {{ least }} and 1e12 then try_cast({{ text }} as double) end
{%- endmacro %}

{# Every raw field that models compute with, by table and kind. A row without its `day` or a `needed` field is left out; a blank
   `name` falls back to the id after it. #}
{% macro readings() -%}
    {%- set sends = 'requests delivered opens unique_opens clicks unique_clicks bounces bounce_drops invalid_emails spam_reports'
        ~ ' spam_report_drops unsubscribes' -%}
    {{ return({
        'raw_sendgrid.single_sends': {
            'moment': 'send_at created_at updated_at', 'object': 'abtest', 'list': 'categories', 'name': 'name id'},
        'raw_sendgrid.single_send_stats': {'count': sends},
        'raw_sendgrid.single_send_variation_stats': {'count': sends},
        'raw_sendgrid.single_send_link_stats': {'count': 'clicks', 'needed': 'url'},
        'raw_sendgrid.single_send_details': {'moment': 'updated_at', 'object': 'ab_test'},
        'raw_sendgrid.single_send_daily_stats': {'day': 'date', 'count': sends},
        'raw_sendgrid.automation_stats': {'count': sends},
        'raw_sendgrid.suppressions': {'moment': 'created', 'needed': 'email'},
        'raw_sendgrid.invalid_emails': {'moment': 'created', 'needed': 'email'},
        'raw_sendgrid.unsubscribe_groups': {'count': 'unsubscribes', 'name': 'name id'},
        'raw_sendgrid.group_suppressions': {'moment': 'created_at', 'needed': 'email'},
        'raw_sendgrid.lists': {'count': 'contact_count', 'name': 'name id'},
        'raw_sendgrid.segments': {
            'count': 'contacts_count', 'moment': 'created_at updated_at', 'object': 'status', 'name': 'name id'},
        'raw_sendgrid.field_definitions': {'name': 'name id'},
        'raw_sendgrid.contacts': {'moment': 'created_at updated_at', 'object': 'other'},
        'raw_sendgrid.global_stats': {
            'day': 'date',
            'count': sends ~ ' blocks deferred processed unsubscribe_drops'},
        'raw_sendgrid.device_stats': {'day': 'date', 'count': 'opens unique_opens'},
        'raw_sendgrid.client_stats': {'day': 'date', 'count': 'opens unique_opens'},
        'raw_sendgrid.browser_stats': {'day': 'date', 'count': 'clicks unique_clicks'},
        'raw_sendgrid.geo_stats': {'day': 'date', 'count': 'opens unique_opens clicks unique_clicks'},
        'raw_sendgrid.mailbox_provider_stats': {
            'day': 'date',
            'count': 'blocks bounces deferred delivered drops processed requests spam_reports opens unique_opens clicks'
                ~ ' unique_clicks'},
        'raw_wistia.medias': {
            'seconds': 'duration', 'moment': 'created updated', 'object': 'project folder', 'name': 'name hashed_id'},
        'raw_wistia.projects': {'count': 'media_count', 'moment': 'created updated', 'name': 'name hashed_id'},
        'raw_wistia.visitors': {
            'count': 'load_count play_count', 'moment': 'created_at last_active_at',
            'object': 'visitor_identity user_agent_details'},
        'raw_wistia.events': {
            'moment': 'received_at', 'needed': 'received_at', 'object': 'conversion_data user_agent_details'},
        'raw_wistia.media_stats': {
            'day': 'measured_on', 'count': 'load_count play_count visitors hours_watched', 'share': 'play_rate engagement',
            'list': 'actions'},
        'raw_wistia.media_engagement': {'day': 'measured_on', 'share': 'engagement', 'list': 'engagement_data rewatch_data'},
        'raw_wistia.media_stats_by_date': {'day': 'date', 'count': 'load_count play_count hours_watched'},
        'raw_wistia.account_stats_by_date': {'day': 'date', 'count': 'load_count play_count hours_watched'},
        'raw_wistia.captions': {},
        'raw_wistia.customizations': {'object': 'plugin'},
        'raw_klaviyo.accounts': {},
        'raw_klaviyo.metrics': {'moment': 'created updated', 'object': 'integration', 'name': 'name id'},
        'raw_klaviyo.catalog_items': {'amount': 'price', 'moment': 'created updated', 'list': 'variants', 'name': 'title id'},
        'raw_klaviyo.catalog_variants': {'amount': 'price inventory_quantity', 'moment': 'created updated', 'name': 'title id'},
        'raw_klaviyo.catalog_categories': {'moment': 'updated', 'name': 'name id'},
        'raw_klaviyo.segments': {'moment': 'created updated', 'name': 'name id'},
        'raw_klaviyo.profiles': {'moment': 'created updated last_event_date', 'object': 'location subscriptions'},
        'raw_klaviyo.mapped_metrics': {'moment': 'updated', 'list': 'metric_groups'},
        'raw_klaviyo.events': {
            'moment': 'datetime', 'needed': 'datetime', 'object': 'event_properties', 'list': 'attributions'},
        'raw_klaviyo.flows': {'moment': 'created updated', 'name': 'name id'},
        'raw_klaviyo.flow_actions': {'moment': 'created updated', 'object': 'definition'},
        'raw_klaviyo.flow_messages': {'moment': 'created updated', 'object': 'definition'},
        'raw_klaviyo.flow_message_templates': {'moment': 'created updated'},
        'raw_klaviyo.flow_triggers': {},
        'raw_klaviyo.metric_aggregates': {'day': 'date', 'count': 'event_count unique_count', 'amount': 'sum_value'},
        'raw_klaviyo.flow_values': {
            'day': 'measured_on',
            'count': 'recipients delivered opens opens_unique clicks clicks_unique bounced unsubscribes conversions',
            'amount': 'conversion_value revenue_per_recipient'},
        'raw_klaviyo.segment_members': {'moment': 'joined_group_at'},
        'raw_klaviyo.lists': {'moment': 'created updated', 'name': 'name id'},
        'raw_klaviyo.list_members': {'moment': 'joined_group_at'},
        'raw_klaviyo.campaigns': {'moment': 'created_at scheduled_at updated_at send_time', 'name': 'name id'},
        'raw_klaviyo.campaign_messages': {'moment': 'created_at updated_at', 'object': 'definition'},
        'raw_klaviyo.campaign_values': {
            'day': 'measured_on',
            'count': 'recipients delivered opens_unique clicks_unique bounced conversions conversion_uniques',
            'amount': 'conversion_value'},
        'raw_klaviyo.segment_counts': {'day': 'measured_on', 'count': 'profile_count'},
        'raw_klaviyo.list_counts': {'day': 'measured_on', 'count': 'profile_count'},
        'raw_sendgrid.contact_counts': {'day': 'measured_on', 'count': 'contact_count'},
        'raw_klaviyo.predictive_analytics': {
            'day': 'measured_on', 'amount': 'historic_clv predicted_clv total_clv average_order_value',
            'count': 'historic_number_of_orders predicted_number_of_orders average_days_between_orders',
            'probability': 'churn_probability', 'moment': 'expected_date_of_next_order'},
        'raw_mavera.personas': {'count': 'credits_charged', 'moment': 'created_at', 'name': 'name id'},
        'raw_mavera.threads': {
            'count': 'credits_used message_count', 'moment': 'created_at updated_at', 'list': 'messages sources personas_used'},
        'raw_mavera.focus_groups': {'moment': 'created_at updated_at', 'object': 'results usage', 'name': 'name id'},
        'raw_mavera.brand_voices': {
            'moment': 'created_at updated_at', 'object': 'tone writing_style vocabulary sources', 'list': 'example_phrases',
            'name': 'label id'},
        'raw_mavera.generations': {'moment': 'created_at updated_at', 'object': 'usage'},
    }) }}
{%- endmacro %}

{# The readable rows of a raw table. #}
{% macro readable(schema, table) -%}
    {%- set fields = readings()[schema ~ '.' ~ table] -%}
    {%- set values, kept = {}, [] -%}
    {%- for kind, names in fields.items() if kind not in ('name', 'needed') -%}
        {%- for name in names.split() -%}{%- do values.update({name: readable_value(kind, name)}) -%}{%- endfor -%}
    {%- endfor -%}
    {%- for name in fields.get('day', '').split() + fields.get('needed', '').split() -%}
        {%- do kept.append(values.get(name, readable_value('needed', name)) ~ ' is not null') -%}
    {%- endfor -%}
    {%- if fields.name -%}
        {%- set name, id = fields.name.split() -%}
        {%- do values.update({name: "coalesce(nullif(trim(" ~ name ~ "), ''), cast(" ~ id ~ " as " ~ dbt.type_string() ~ "))"}) -%}
    {%- endif -%}
    {{ select_replacing(source(schema, table), values.items()) }}
    {%- if kept %}
    where {{ kept | join(' and ') }}
    {%- endif -%}
{%- endmacro %}

{# The match of a group of a regular expression in a text, trimmed; null if empty. No backslash in the pattern: engines differ. #}
{% macro text_part(column, pattern, place) -%}
    nullif(trim(regexp_extract({{ column }}, '{{ pattern | replace("'", "''") }}', {{ place }})), '')
{%- endmacro %}

{# Whether a text matches a regular expression. #}
{% macro fits(column, pattern) -%}
    regexp_extract({{ column }}, '({{ pattern | replace("'", "''") }})', 1) <> ''
{%- endmacro %}

{# SQL: what Wistia serves as percent_viewed for a session that saw everything, 1 or 100. #}
{% macro percent_viewed_scale() -%}
    {%- set scale = var('percent_viewed_scale') -%}
    {%- if scale not in ('auto', 'fraction', 'percent') -%}
        {%- set message = "var percent_viewed_scale is " ~ scale ~ "; it can be auto, fraction or percent" -%}
        {{ exceptions.raise_compiler_error(message) }}
    {%- endif -%}
    {%- if scale == 'auto' -%}
    (
        -- NaN sorts above every number, and says nothing about the scale.
        select
            case
                when count(*) filter (where percent_viewed > {{ var('share_far_above') }} and percent_viewed <= 100)
                    > {{ var('percent_scale_above_share') }} * count(*) filter (where percent_viewed > 0 and percent_viewed <= 100)
                    then 100
                else 1
            end
        from ({{ readable('raw_wistia', 'events') }}) as served
    )
    {%- else -%}
    {{ 100 if scale == 'percent' else 1 }}
    {%- endif -%}
{%- endmacro %}

{# The address of a page without its query, fragment and user, and cut off at the first folder that may be a token or an e-mail address;
   null if it is not of the web (mailto, tel). #}
{% macro page_address(url) -%}
    {%- set page = "regexp_replace(" ~ url ~ ", '[?#].*$', '')" -%}
    {%- set site = "split_part(" ~ page ~ ", '/', 3)" -%}
    {%- set folders = "substr(" ~ page ~ ", length(split_part(" ~ page ~ ", '/', 1)) + length(" ~ site ~ ") + 3)" -%}
    {%- set secret = '/[^/]*(@|%40|[A-Za-z0-9_=]{24,}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-).*$' -%}
    case when lower({{ url }}) like 'http%://%' then
        concat_ws(
            '', split_part({{ page }}, '/', 1), '//', regexp_replace({{ site }}, '^.*@', ''),
            regexp_replace({{ folders }}, '{{ secret }}', '/')
        )
    end
{%- endmacro %}
