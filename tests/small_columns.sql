-- Rows beside those of small_warehouse.sql and small_rest.sql, for columns that are empty or identical there.

-- SendGrid: every count of a day is a different number. Eight summer days, so that a mean over seven differs from one over eight.
update raw_sendgrid.global_stats set
    processed = 109, deferred = 7, bounces = 4, bounce_drops = 3, blocks = 5, invalid_emails = 2, spam_reports = 1,
    spam_report_drops = 8, unsubscribes = 11, unsubscribe_drops = 12
    where date = '2026-01-01';
insert into raw_sendgrid.global_stats (date, requests, delivered, opens, unique_opens, clicks, unique_clicks)
    select cast(date '2025-06-01' + interval (range) day as date), 200, 190, 95 + range * range, 80 + range * range, 30 + range, 20 + range
    from range(9);
update raw_sendgrid.mailbox_provider_stats set
    requests = 111, deferred = 7, drops = 10, bounces = 4, blocks = 5, spam_reports = 1, clicks = 9, unique_clicks = 6;
insert into raw_sendgrid.mailbox_provider_stats (date, type, name, processed, delivered, opens, unique_opens) values
    ('2026-01-02', 'mailbox_provider', 'Outlook', 60, 50, 20, 12);
insert into raw_sendgrid.client_stats (date, type, name, opens, unique_opens) values
    ('2026-01-02', 'client', 'Apple Mail', 20, 10), ('2026-01-02', 'client', 'Lynx', 2, 1);
insert into raw_sendgrid.browser_stats (date, type, name, clicks, unique_clicks) values ('2026-01-01', 'browser', 'Firefox', 5, 3), ('2026-01-02', 'browser', 'Firefox', 4, 2);
insert into raw_sendgrid.geo_stats (country_filter, date, type, name, opens, unique_opens, clicks, unique_clicks) values
    ('US', '2026-01-01', 'province', 'OH', 30, 25, 3, 1);
update raw_sendgrid.single_send_stats set
    requests = 90, bounces = 14, bounce_drops = 3, invalid_emails = 2, spam_reports = 1, spam_report_drops = 6, unsubscribes = 7;
update raw_sendgrid.single_send_daily_stats set
    requests = 91, clicks = 5, unique_clicks = 4, bounces = 8, bounce_drops = 3, invalid_emails = 2, spam_reports = 1,
    spam_report_drops = 6, unsubscribes = 7
    where date = '2026-01-01';
update raw_sendgrid.single_sends set
    created_at = '2025-12-20 09:00:00+00', updated_at = '2025-12-30 09:00:00+00', categories = '["news"]' where id = 's1';
update raw_sendgrid.automation_stats set
    requests = delivered + 5, opens = unique_opens + 9, clicks = unique_clicks + 2, bounces = 11, bounce_drops = 12, invalid_emails = 13,
    spam_reports = 14, spam_report_drops = 15, unsubscribes = 16;
update raw_sendgrid.segments set created_at = '2025-12-01 09:00:00+00', updated_at = '2025-12-02 09:00:00+00',
    sample_updated_at = '2025-12-03 09:00:00+00';
update raw_sendgrid.unsubscribe_groups set description = 'What we write on Fridays' where id = 1;
insert into raw_sendgrid.unsubscribe_groups (id, name, is_default, unsubscribes) values (3, 'Tips', false, 9);
insert into raw_sendgrid.group_suppressions (group_id, email, created_at) values
    (3, 'c4@example.com', '2026-01-04 10:00:00+00'), (3, 'nobody@example.com', '2026-01-04 11:00:00+00');
insert into raw_sendgrid.contact_counts (measured_on, contact_count) values ('2026-01-02', 71);

-- A third group of contacts, in a separate industry, who are customers and viewers as well.
insert into raw_sendgrid.contacts (contact_id, email, first_name, updated_at, other)
    select
        concat('c', range), concat('p', range, '@example.com'), 'Ben', '2026-01-02 10:00:00+00',
        '{"custom_role": "sales", "custom_industry": "software"}'
    from range(51, 61);

-- A test judged by clicks, with two versions of the text, and a single send four weeks earlier.
insert into raw_sendgrid.single_sends (id, name, status, is_abtest, abtest, send_at) values
    ('s4', 'Texts', 'triggered', true, '{"type": "content", "winner_criteria": "click"}', '2025-02-01 15:00:00+00'),
    ('s5', 'December', 'triggered', false, null, '2025-11-20 15:00:00+00');
insert into raw_sendgrid.single_send_variation_stats
    (id, ab_variation, ab_phase, aggregation, requests, delivered, opens, unique_opens, clicks, unique_clicks) values
    ('s4', 'c', 'test', 'total', 131, 130, 90, 70, 30, 24), ('s4', 'd', 'test', 'total', 121, 120, 95, 75, 8, 6),
    ('s4', 'c', 'send', 'total', 601, 600, 280, 200, 70, 60);
insert into raw_sendgrid.single_send_details (id, subject, ab_test) values
    ('s4', 'Our letter', '{"variations": [{"id": "c", "plain_content": "Come and see"}, {"id": "d", "plain_content": "We are here"}]}');
insert into raw_sendgrid.single_send_stats
    (id, ab_variation, ab_phase, aggregation, requests, delivered, opens, unique_opens, clicks, unique_clicks) values
    ('s5', 'all', 'all', 'total', 45, 40, 31, 24, 4, 3);

-- Wistia: browsers with their loads and plays, and 45 more viewers of one media: 41 of them customers in Ohio who may be mailed, four
-- unknown to Klaviyo. 40 watch it (almost) completely in the evening on a phone, five in the morning on a desktop.
update raw_wistia.visitors set
    load_count = 12, play_count = 7, created_at = '2025-12-01 10:00:00+00', last_active_at = '2026-01-03 10:00:00+00',
    user_agent_details = '{"browser": "Chrome", "platform": "Windows", "mobile": false}' where visitor_key = 'v1';
update raw_wistia.visitors set
    load_count = 5, play_count = 3, user_agent_details = '{"browser": "Safari", "platform": "iOS (iPhone)", "mobile": true}'
    where visitor_key = 'v2';
update raw_wistia.visitors set user_agent_details = '{"browser": "Edge", "platform": "Windows", "mobile": false}' where visitor_key = 'v3';
update raw_wistia.events set region = 'Ontario' where event_key = 'v1 again';
insert into raw_wistia.medias (hashed_id, name, type, duration, created, updated) values
    ('m6', 'Product tour', 'Video', 60, '2025-10-01 10:00:00+00', '2025-11-01 10:00:00+00'),
    ('m7', 'Recipe', 'Audio', 30, '2025-10-02 10:00:00+00', '2025-11-02 10:00:00+00');
update raw_wistia.medias set project = '{"id": 2, "hashed_id": "f2", "name": "Tours"}' where hashed_id in ('m6', 'm7');
insert into raw_wistia.projects (id, hashed_id, name, media_count, created, updated) values
    (2, 'f2', 'Tours', 3, '2025-09-01 10:00:00+00', '2025-09-02 10:00:00+00');
insert into raw_wistia.visitors (visitor_key, load_count, play_count, user_agent_details)
    select
        'w' || range, 3 + range % 4, 2 + range % 3,
        case when range <= 40 then '{"browser": "Safari", "platform": "iOS (iPhone)", "mobile": true}'
            else '{"browser": "Firefox", "platform": "Linux", "mobile": false}' end
    from range(1, 46);
insert into raw_wistia.events
    (event_key, visitor_key, media_id, media_name, percent_viewed, email, country, region, received_at)
    select
        concat('w', person, ' ', session), concat('w', person), 'm6', 'Product tour',
        case when person <= 25 then 0.97 when person <= 40 then 0.9 else 0.6 end - session / 100, address, 'US', 'Ohio',
        cast(case when person <= 40 then '2026-01-03 01:00:00+00' else '2026-01-02 12:00:00+00' end as timestamptz)
            - to_days(case when person in (5, 30) then 200 + session when person > 20 then session * 7 else session end)
    from (select
        range as person,
        case when range <= 42 and range <> 20 then concat('p', 50 + range, '@example.com') else concat('stranger', range, '@example.com') end as address
        from range(1, 46)) as people, range(2) as sessions(session);
insert into raw_wistia.visitors (visitor_key) values ('w46');
insert into raw_wistia.events (event_key, visitor_key, media_id, media_name, percent_viewed, email, country, region, received_at) values
    ('w46 0', 'w46', 'm6', 'Product tour', 0.5, 'p51@example.com', 'US', 'Ohio', '2026-01-02 01:00:00+00'),
    ('w1 other', 'w1', 'm7', 'Recipe', 0.85, null, 'US', 'Ohio', '2026-01-03 01:30:00+00'),
    ('w2 other', 'w2', 'm7', 'Recipe', 0.99, null, 'US', 'Ohio', '2026-01-03 02:30:00+00'),
    ('w9 other', 'w9', 'm7', 'Recipe', 0.3, null, 'US', 'Ohio', '2025-06-03 02:30:00+00');
update raw_wistia.media_stats set
    load_count = 14, play_rate = 0.43, hours_watched = 0.75, engagement = 0.61, visitors = 5
    where media_id = 'm1' and measured_on = '2026-01-02';
insert into raw_wistia.media_stats (media_id, measured_on, load_count, play_count, play_rate, hours_watched, engagement, visitors, actions)
    values
    ('m6', '2026-01-02', 120, 95, 0.7, 1.5, 0.8, 45,
        '[{"type": "Call to Action", "action_count": 10, "impression_count": 2000}]'),
    ('m7', '2026-01-02', 9, 4, 0.4, 0.1, 0.5, 3,
        '[{"type": "Call to Action", "action_count": 30, "impression_count": 200}, {"type": "Turnstile", "action_count": 8, "impression_count": 90}]');
insert into raw_wistia.customizations (media_id, auto_play, plugin) values
    ('m6', 'false', '{"postRoll-v1": {"text": "Book a visit", "time": "end", "on": "true"}}'),
    ('m7', 'false', '{"requireEmail-v1": {"topText": "Who are you?", "time": "before", "on": "true"}}');
insert into raw_wistia.media_engagement (media_id, measured_on, engagement_data, rewatch_data)
    select 'm6', '2026-01-02', to_json(list_transform(range(60), lambda n: if(n < 20, 95 - n, if(n < 40, 50, 45)))),
        to_json(list_transform(range(60), lambda n: if(n < 30, 3, 0)));
insert into raw_wistia.captions (media_id, language, english_name, native_name, text) values
    ('m6', 'deu', 'German', 'Deutsch', E'1\n00:00:00,000 --> 00:00:20,000\nGuten Tag.\n\n2\n00:00:20,000 --> 00:01:00,000\nEin Rundgang.\n');
insert into raw_wistia.caption_cues (media_id, language, cue_number, started_seconds, ended_seconds, text) values
    ('m6', 'deu', 1, 0, 20, 'Guten Tag.'), ('m6', 'deu', 2, 20, 60, 'Ein Rundgang.');
insert into raw_wistia.media_stats_by_date (media_id, date, load_count, play_count, hours_watched) values
    ('m6', '2025-12-29', 70, 50, 1.25);

-- Klaviyo: the account, and its data about people.
insert into raw_klaviyo.accounts (id, timezone, preferred_currency, locale, industry, test_account) values
    ('acct1', 'America/Chicago', 'USD', 'en-US', 'Kitchenware', true);
update raw_klaviyo.profiles set
    location = case
        when cast(id[2:] as int) between 51 and 92 then '{"country": "US", "region": "Ohio", "timezone": "America/New_York"}'
        when cast(id[2:] as int) between 93 and 97 then '{"country": "US", "region": "Ohio"}'
        else location
    end,
    locale = if(id = 'p60', 'en-GB', 'en-US'),
    created = case when id in ('p57', 'p58') then '2026-01-01 10:00:00+00' when id = 'p59' then '2025-12-26 10:00:00+00'
        else timestamptz '2025-01-01 10:00:00+00' + to_days(cast(id[2:] as int)) end,
    updated = timestamptz '2025-07-01 10:00:00+00' + to_days(cast(id[2:] as int)),
    last_event_date = timestamptz '2025-08-01 10:00:00+00' + to_days(cast(id[2:] as int)),
    phone_number = case when cast(id[2:] as int) between 61 and 70 then '+1202555' || cast(id[2:] as int) * 37 end;
update raw_klaviyo.profiles
    set subscriptions = '{"email": {"marketing": {"can_receive_email_marketing": true, "consent": "SUBSCRIBED", "suppression": []}},
        "sms": {"marketing": {"can_receive_sms_marketing": true, "consent": "SUBSCRIBED"}}}'
    where cast(id[2:] as int) between 61 and 95;
update raw_klaviyo.profiles set subscriptions = replace(subscriptions, '"consent": "SUBSCRIBED"}}', '"consent": "UNSUBSCRIBED"}}')
    where id = 'p71';
update raw_klaviyo.profiles set location = '{}' where id = 'p98';
update raw_klaviyo.predictive_analytics set
    historic_clv = predicted_clv * 2 + 7, total_clv = predicted_clv * 3 + 7, historic_number_of_orders = 3 + predicted_clv // 20,
    predicted_number_of_orders = 1 + predicted_clv // 30, average_days_between_orders = 20 + predicted_clv // 9,
    average_order_value = 10 + predicted_clv / 4,
    expected_date_of_next_order = timestamptz '2026-02-01 00:00:00+00' + to_days(cast(profile_id[2:] as int))
    where predicted_clv is not null;
update raw_klaviyo.metrics set integration = json_object('name', 'Shop', 'category', 'Ecommerce') where id = 'PLACED';
update raw_klaviyo.lists set created = '2025-03-01 10:00:00+00', updated = '2025-03-02 10:00:00+00';
update raw_klaviyo.list_members set joined_group_at = '2025-03-03 10:00:00+00';
insert into raw_klaviyo.lists (id, name, opt_in_process, created, updated) values
    ('T', 'Texts', 'single_opt_in', '2025-04-01 10:00:00+00', '2025-04-02 10:00:00+00');
insert into raw_klaviyo.list_members (list_id, profile_id, joined_group_at)
    select 'T', concat('p', range), timestamptz '2025-04-03 10:00:00+00' + to_days(range) from range(41, 71);
insert into raw_klaviyo.list_counts (list_id, measured_on, profile_count) values ('L', '2026-01-02', 21), ('T', '2026-01-02', 40);
update raw_klaviyo.segments set
    created = '2025-05-01 10:00:00+00', updated = '2025-05-02 10:00:00+00', is_active = true, is_processing = id = 'b', is_starred = id = 'c';
update raw_klaviyo.segment_members set joined_group_at = '2025-05-03 10:00:00+00';
insert into raw_klaviyo.segments (id, name, created, updated) values
    ('e', 'Ohio', '2025-06-01 10:00:00+00', '2025-06-02 10:00:00+00');
insert into raw_klaviyo.segment_members (segment_id, profile_id, joined_group_at)
    select 'e', concat('p', range), '2025-06-03 10:00:00+00' from range(40, 93);
insert into raw_klaviyo.segment_counts (segment_id, measured_on, profile_count) values ('e', '2026-01-02', 90);

-- Orders: one in euros, one partly refunded, one cancelled, and those of the week before.
insert into raw_klaviyo.metrics (id, name, integration) values
    ('REFUNDED', 'Refunded Order', '{"name": "Shop", "category": "Ecommerce"}'), ('CANCELLED', 'Cancelled Order', null);
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties, attributions) values
    ('k10', 'p52', 'PLACED', '2026-01-02 10:00:00+00', '{"$value": 40, "$value_currency": "EUR", "OrderId": "o10"}',
        '[{"id": "a2", "campaign_id": "c1", "attributed_event_id": "o3"}]'),
    ('k11', 'p53', 'PLACED', '2026-01-02 11:00:00+00', '{"$value": 60, "$value_currency": "USD", "OrderId": "o11", "Total Discounts": "4.00",
        "Items": ["Mug", "Mug", {"ProductID": "P9", "ProductName": "Bowl", "Quantity": 2, "ItemPrice": 5.5}]}',
        '[{"id": "a3", "flow_id": "FLOW2", "flow_message_id": "M6"}]'),
    ('k12', 'p54', 'PLACED', '2026-01-02 12:00:00+00', '{"$value": 30, "$value_currency": "USD", "OrderId": "o12", "DiscountValue": 2}', '[]'),
    ('k13', 'p53', 'REFUNDED', '2026-01-04 11:00:00+00', '{"$value": 15, "$value_currency": "USD", "OrderId": "o11"}', '[]'),
    ('k14', 'p54', 'CANCELLED', '2026-01-04 12:00:00+00', '{"$value": 30, "$value_currency": "USD", "OrderId": "o12"}', '[]'),
    ('k15', 'p55', 'PLACED', '2025-12-28 12:00:00+00', '{"$value": 55, "$value_currency": "USD"}', '[]'),
    ('k16', 'p3', 'PLACED', '2026-01-02 13:00:00+00', '{"$value": 12, "$value_currency": "USD", "OrderId": "o16"}',
        '[{"id": "a4", "campaign_id": "c1"}]'),
    ('k17', 'p3', 'REFUNDED', '2026-01-03 13:00:00+00', '{"$value": 5, "$value_currency": "USD", "OrderId": "o16"}', '[]'),
    ('k18', 'p56', 'PLACED', '2026-01-02 13:00:00+00', '{"$value": "a lot", "$value_currency": "USD"}', '[]');

-- Three products: of 110 customers, 50 bought the first, 42 the second and 40 both; 63 bought the third.
insert into raw_klaviyo.catalog_items (id, external_id, title, price, variants, published, created, updated) values
    ('$custom:::$default:::P1', 'P1', 'Kettle', 30, '[{"id": "$custom:::$default:::v2"}, {"id": "$custom:::$default:::v3"}]', true,
        '2025-01-02 10:00:00+00', '2025-01-03 10:00:00+00'),
    ('$custom:::$default:::P2', 'P2', 'Teapot', 20.5, '[]', true, '2025-01-04 10:00:00+00', '2025-01-05 10:00:00+00'),
    ('$custom:::$default:::P3', 'P3', 'Spoon', 2, '[]', false, null, null);
insert into raw_klaviyo.catalog_variants (id, external_id, title, price, inventory_quantity, published) values
    ('$custom:::$default:::v2', 'v2', 'Kettle, small', 25, 3, true), ('$custom:::$default:::v3', 'v3', 'Kettle, large', 35, 8, true);
insert into raw_klaviyo.catalog_categories (id, external_id, name) values ('$custom:::$default:::k2', 'k2', 'Table');
insert into raw_klaviyo.catalog_category_items (category_id, item_id) values
    ('$custom:::$default:::k1', '$custom:::$default:::P1'), ('$custom:::$default:::k2', '$custom:::$default:::P2');
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties)
    select
        concat('bought ', product, ' ', range), concat('p', range), 'ORDERED',
        timestamptz '2025-11-01 12:00:00+00' + to_days(cast(product[2:] as int)),
        json_object('ProductID', product, 'Name', product, '$value', 9, '$value_currency', 'USD')
    from (values ('P1', 1, 50), ('P2', 11, 52), ('P3', 53, 110), ('P3', 1, 5)) as bought(product, first, last), range(1, 111)
    where range between first and last;
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties) values
    ('again', 'p1', 'ORDERED', '2025-11-20 12:00:00+00', '{"ProductID": "P1", "Name": "P1", "$value": 9, "$value_currency": "USD"}'),
    ('in euros', 'p3', 'ORDERED', '2025-11-21 12:00:00+00', '{"ProductID": "P1", "Name": "P1", "$value": 8, "$value_currency": "EUR", "OrderId": "o16", "Quantity": 2}');

-- E-mails that viewers of the tour open in the morning on a desktop, one of them by a machine, and two that cannot be placed: one has
-- no device, the other no place.
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties)
    select concat('read ', range), concat('p', range), 'OPENED', '2026-01-02 12:30:00+00', '{"Client OS Family": "Windows"}'
    from range(51, 66);
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties) values
    ('read by a machine', 'p66', 'OPENED', '2026-01-02 12:30:00+00', '{"Client OS Family": "Windows", "machine_open": true, "$message": "gone"}'),
    ('followed by a machine', 'p66', 'CLICKED', '2026-01-02 12:31:00+00', '{"Bot Click": true, "$message": "gone"}'),
    ('read on anything', 'p67', 'OPENED', '2026-01-02 12:30:00+00', '{}'),
    ('read anywhere', 'p98', 'OPENED', '2026-01-02 12:30:00+00', '{"Client OS Family": "Android"}'),
    ('read without a zone', 'p96', 'CLICKED', '2026-01-02 12:30:00+00', '{"Client OS Family": "Mac OS X"}');

-- A second sale, by e-mail to 60 and by text to 50: as many of each click, but more recipients of the text buy.
insert into raw_klaviyo.campaigns (id, channel, name, status, send_time, archived, created_at, scheduled_at, updated_at) values
    ('c4', 'email', 'Spring (e-mail)', 'Sent', '2025-12-10 08:00:00+00', true, '2025-12-01 08:00:00+00', '2025-12-02 08:00:00+00',
        '2025-12-03 08:00:00+00'),
    ('c5', 'sms', 'Spring, SMS', 'Sent', '2025-12-10 20:00:00+00', true, '2025-12-01 09:00:00+00', '2025-12-02 09:00:00+00',
        '2025-12-03 09:00:00+00');
insert into raw_klaviyo.campaign_messages (id, campaign_id, definition) values
    ('m4', 'c4', '{"channel": "email", "content": {"subject": "Green"}}'), ('m5', 'c5', '{"channel": "sms", "content": {"body": "All green"}}');
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties)
    select
        concat_ws('-', message, metric, range), concat('h', message, range), metric, moment, json_object('$message', message)
    from (values
        ('m4', 'RECEIVED', 60, timestamptz '2025-12-10 08:30:00+00'), ('m4', 'OPENED', 35, '2025-12-10 09:00:00+00'),
        ('m4', 'CLICKED', 6, '2025-12-10 09:30:00+00'),
        ('m5', 'RECEIVED SMS', 50, '2025-12-10 20:30:00+00'), ('m5', 'CLICKED SMS', 4, '2025-12-10 21:30:00+00')
    ) as deed(message, metric, count, moment), range(1, 61)
    where range <= count;
-- Pages whose addresses have what must not be stored: a token, a user, an e-mail address, and one that is no page.
update raw_klaviyo.events
    set event_properties = json_merge_patch(event_properties, json_object('URL', case id
        when 'again' then 'https://shop.example/spring/0123456789abcdef01234567?who=1#top'
        when 'in euros' then 'https://ada:secret@www.the-shop-with-a-long-name-averyveryverylongname.example/a/b#c'
        when 'bought P1 1' then 'https://shop.example/leave/ada%40example.com/now'
        else 'mailto:ada@example.com' end))
    where id in ('again', 'in euros', 'bought P1 1', 'bought P1 2');
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties, attributions)
    select
        concat_ws('-', campaign, 'bought', range), concat('h', replace(campaign, 'c', 'm'), range), 'PLACED', '2025-12-11 10:00:00+00',
        json_object('$value', 10 + range, '$value_currency', 'USD', 'OrderId', concat(campaign, range)),
        json_array(json_object('id', concat(campaign, range), 'campaign_id', campaign))
    from (values ('c4', 2), ('c5', 14)) as bought(campaign, count), range(1, 15)
    where range <= count;
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties, attributions) values
    ('c5 again', 'hm51', 'PLACED', '2025-12-11 11:00:00+00', '{"$value": 21, "$value_currency": "USD"}', '[{"id": "c5b", "campaign_id": "c5"}]'),
    ('c5 euros', 'hm52', 'PLACED', '2025-12-11 12:00:00+00', '{"$value": 17, "$value_currency": "EUR"}', '[{"id": "c5c", "campaign_id": "c5"}]'),
    ('c5 back', 'hm51', 'REFUNDED', '2025-12-12 12:00:00+00', '{"$value": 4, "$value_currency": "USD", "OrderId": "c51"}', '[]');
insert into raw_klaviyo.campaign_values
    (campaign_id, campaign_message_id, send_channel, measured_on, recipients, delivered, opens_unique, clicks_unique, bounced,
        conversions, conversion_uniques, conversion_value) values
    ('c4', 'm4', 'email', '2025-12-20', 63, 60, 35, 6, 3, 2, 2, 23), ('c5', 'm5', 'sms', '2025-12-20', 52, 50, null, 4, 1, 16, 14, 249);

-- Three more messages of the first flow, 500 received each: one is clicked less, one opened less, one is average.
insert into raw_klaviyo.flow_actions (id, flow_id, definition)
    select concat('30', range), 'FLOW', '{"type": "send-email", "data": {"status": "live"}}' from range(1, 4);
insert into raw_klaviyo.flow_messages (id, flow_action_id, channel, created, updated, definition)
    select
        concat('N', range), concat('30', range), 'email', '2025-01-09 10:00:00+00', '2025-01-10 10:00:00+00',
        json_object('name', concat('Reminder ', range), 'subject_line', concat('Reminder ', range))
    from range(1, 4);
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties)
    select
        concat_ws('-', message, metric, range), concat('n', range), metric, moment, json_object('$flow', 'FLOW', '$message', message)
    from (values
        ('N1', 'RECEIVED', 500, timestamptz '2026-01-04 10:00:00+00'), ('N1', 'OPENED', 180, '2026-01-04 11:00:00+00'),
        ('N1', 'CLICKED', 20, '2026-01-04 11:00:09+00'),
        ('N2', 'RECEIVED', 500, '2026-01-04 12:00:00+00'), ('N2', 'OPENED', 100, '2026-01-04 13:00:00+00'),
        ('N2', 'CLICKED', 50, '2026-01-04 13:00:09+00'),
        ('N3', 'RECEIVED', 500, '2026-01-04 14:00:00+00'), ('N3', 'OPENED', 190, '2026-01-04 15:00:00+00'),
        ('N3', 'CLICKED', 60, '2026-01-04 15:00:09+00')
    ) as deed(message, metric, count, moment), range(1, 501)
    where range <= count;

-- The template of one of them, with its words, and the event that starts the flow.
insert into raw_klaviyo.flow_message_templates (flow_message_id, template_id, name, editor_type, html, text, created, updated) values
    ('N1', 'T1', 'Reminder', 'CODE', '<p>Still there?</p>', 'Plain', '2025-01-09 10:00:00+00', '2025-01-11 10:00:00+00');
insert into raw_klaviyo.flow_message_words (flow_message_id, words) values
    ('N1', '{"text": "Still there?", "parts": [{"part": "{{ name }}"}], "links": [{"name": "link-01", "address": "https://shop.example"}]}');
insert into raw_klaviyo.flow_triggers (flow_id, metric_id) values ('FLOW', 'PLACED');

-- A second flow with one message, whose text was rewritten: 200 received it before (60 opened and 8 clicked it), and 150 after (90
-- opened and 33 clicked it). Klaviyo reports more of both.
insert into raw_klaviyo.flows (id, name, status, archived, trigger_type, created, updated) values
    ('FLOW2', 'Welcome', 'live', true, 'Added to List', '2025-01-06 10:00:00+00', '2025-01-07 10:00:00+00');
insert into raw_klaviyo.flow_actions (id, flow_id, definition) values
    ('201', 'FLOW2', '{"type": "send-email", "data": {"status": "live"}}');
insert into raw_klaviyo.flow_messages (id, flow_action_id, channel, created, updated, definition) values
    ('M6', '201', 'email', '2025-01-08 10:00:00+00', '2025-12-20 12:00:00+00',
        '{"name": "Hello", "subject_line": "Welcome", "preview_text": "Come in"}');
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties)
    select
        concat_ws('-', 'M6', part, metric, range), concat('g', part, range), metric, moment,
        '{"$flow": "FLOW2", "$message": "M6"}'
    from (values
        (1, 'RECEIVED', 200, timestamptz '2025-12-15 10:00:00+00'), (1, 'OPENED', 60, '2025-12-15 11:00:00+00'),
        (1, 'CLICKED', 8, '2025-12-15 11:00:09+00'),
        (2, 'RECEIVED', 150, '2025-12-28 10:00:00+00'), (2, 'OPENED', 90, '2025-12-28 11:00:00+00'),
        (2, 'CLICKED', 33, '2025-12-28 11:00:09+00')
    ) as deed(part, metric, count, moment), range(1, 201)
    where range <= count;
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties, attributions) values
    ('k19', 'g11', 'PLACED', '2025-12-15 12:00:00+00', '{"$value": 80, "$value_currency": "USD"}',
        '[{"id": "a5", "flow_id": "FLOW2", "flow_message_id": "M6"}]'),
    ('k20', 'g12', 'PLACED', '2025-12-15 13:00:00+00', '{"$value": 70, "$value_currency": "EUR"}',
        '[{"id": "a6", "flow_id": "FLOW2", "flow_message_id": "M6"}]'),
    ('k21', 'g21', 'PLACED', '2025-12-28 12:00:00+00', '{"$value": 45, "$value_currency": "USD", "OrderId": "o21"}',
        '[{"id": "a7", "flow_id": "FLOW2", "flow_message_id": "M6"}]'),
    ('k22', 'g22', 'PLACED', '2025-12-28 13:00:00+00', '{"$value": 35, "$value_currency": "USD"}',
        '[{"id": "a8", "flow_id": "FLOW2", "flow_message_id": "M6"}]'),
    ('k23', 'g21', 'REFUNDED', '2025-12-29 13:00:00+00', '{"$value": 6, "$value_currency": "USD", "OrderId": "o21"}', '[]'),
    ('received twice', 'g21', 'RECEIVED', '2025-12-29 10:00:00+00', '{"$flow": "FLOW2", "$message": "M6"}', null);
insert into raw_klaviyo.metric_aggregates
    (metric_id, grouped_by, flow_id, message_id, date, event_count, unique_count, sum_value) values
    ('RECEIVED', '$message', 'FLOW2', 'M6', '2025-12-15', 201, 200, 0), ('OPENED', '$message', 'FLOW2', 'M6', '2025-12-15', 75, 60, 0),
    ('CLICKED', '$message', 'FLOW2', 'M6', '2025-12-15', 9, 8, 0), ('PLACED', '$attributed_message', 'FLOW2', 'M6', '2025-12-15', 2, 2, 150);
insert into raw_klaviyo.flow_values
    (flow_id, flow_message_id, send_channel, measured_on, recipients, delivered, opens, opens_unique, clicks, clicks_unique, bounced,
        unsubscribes, conversions, conversion_value)
    values ('FLOW2', 'M6', 'email', '2026-01-06', 420, 400, 190, 170, 60, 50, 6, 4, 3, 160);
insert into raw_mavera.ledger
    (entry_id, call_id, event, written_at, kind, record_key, job, action, facts, payload, credits_high) values
    (201, 'rewrite M6', 'begin', '2025-12-18T10:00:00+00:00', 'generations', 'flow-rewrites:M6', 'flow-rewrites', 'create',
        '{"message_text": "Hi {{ name }}\n[In](link-01)", "message_parts": [{"part": "{{ name }}"}, {"part": "link-01"}, {"part": "there"}, {"part": "{% unsubscribe %}"}]}',
        '{"app_id": "email-writer", "title": "Rewrite", "persona_id": "x1", "input_data": {"tone": "warm"}}', 30);
insert into raw_mavera.ledger (entry_id, call_id, event, written_at, state, remote_id, credits, credits_source, answer) values
    (202, 'rewrite M6', 'end', '2025-12-18T10:00:19+00:00', 'done', 'text of M6', 14, 'answer', '{"output": "Hello again"}');
insert into raw_mavera.generations (id, title, app, output, usage, brand_voice, created_at, updated_at) values
    ('text of M6', 'Rewritten', '{"id": "email-writer"}', 'Hello there', '{"credits_used": 14}', '{"id": "bv2"}',
        '2025-12-18 10:00:00+00', '2025-12-18 10:00:19+00');

-- Mavera: a persona that replaced one, one that failed, an analysis of drop-offs, follow-ups of leads, and the sources of a voice.
insert into raw_mavera.ledger
    (entry_id, call_id, event, written_at, kind, record_key, job, action, facts, payload, credits_high) values
    (203, 'older top', 'begin', '2025-12-01T10:00:00+00:00', 'personas', 'clv-tiers:top', 'clv-tiers', 'create',
        '{"clv_tier": "top"}', '{"name": "Top", "description": "older words", "pipeline_type": "north_star"}', 300),
    (205, 'refused', 'begin', '2026-01-02T11:00:00+00:00', 'personas', 'clv-tiers:middle', 'clv-tiers', 'create', '{"clv_tier": "middle"}',
        '{"name": "Middle"}', 300),
    (207, 'edits', 'begin', '2026-01-02T11:10:00+00:00', 'analyses', 'drop-offs:m1', 'drop-offs', 'create', '{"media_name": "Media 1"}',
        '{"message": "Which seconds?"}', 75),
    (209, 'follow-up m6', 'begin', '2026-01-02T11:20:00+00:00', 'generations', 'viewer-follow-ups:m6/discovering/whole',
        'viewer-follow-ups', 'create', '{"media_name": "Product tour"}', '{"app_id": "email-writer", "title": "After the tour"}', 30),
    (213, 'edits m6', 'begin', '2026-01-02T11:12:00+00:00', 'analyses', 'drop-offs:m6', 'drop-offs', 'create', '{"media_name": "Product tour"}',
        '{"message": "Which seconds?"}', 75),
    (211, 'waiting study', 'begin', '2026-01-02T11:30:00+00:00', 'focus-groups', 'ab-tests:send_s3', 'ab-tests', 'create', '{"tested": "subject"}',
        '{}', 200);
insert into raw_mavera.ledger (entry_id, call_id, event, written_at, state, remote_id, thread_id, credits, credits_source, error, answer) values
    (204, 'older top', 'end', '2025-12-01T10:00:31+00:00', 'done', 'x1', null, 299, 'price', null, '{"pipeline_type": "market_pulse"}'),
    (206, 'refused', 'end', '2026-01-02T11:00:02+00:00', 'failed', null, null, 0, 'none', '422: name is taken', null),
    (208, 'edits', 'end', '2026-01-02T11:10:40+00:00', 'done', 'msg2', 't2', 33, 'answer', null, '{"content": "as answered"}'),
    (214, 'edits m6', 'end', '2026-01-02T11:12:40+00:00', 'done', 'msg3', 't2', 31, 'answer', null, '{"content": "Be brief."}'),
    (210, 'follow-up m6', 'end', '2026-01-02T11:20:03+00:00', 'done', 'gen3', null, 13, 'answer', null, '{"output": "Thank you for watching"}'),
    (212, 'waiting study', 'end', '2026-01-02T11:30:03+00:00', 'waiting', 'fg4', null, 0, 'none', null, null);
insert into raw_mavera.threads (id, title, messages, sources, credits_used, message_count, created_at, updated_at) values
    ('t2', 'Drop-offs', '[{"id": "msg2", "role": "assistant", "content": "Cut the sponsors."}]', '["a page"]', 33, 2,
        '2026-01-02 11:10:00+00', '2026-01-02 11:10:40+00');
update raw_mavera.brand_voices set
    error = if(id = 'bv3', 'too short', null), usage_context = 'Videos ' || id, sources = '{"documents": ["a", "b"]}',
    tone = '{"adjectives": ["warm", "brief"], "dos": ["greet"], "donts": ["shout"]}',
    writing_style = '{"sentence_structure": "short", "jargon_usage": "none"}',
    vocabulary = '{"preferred_terms": ["kettle"], "avoid_terms": ["pot"]}', example_phrases = '["Welcome."]',
    created_at = '2026-02-02 10:00:00+00', updated_at = '2026-02-02 10:00:08+00'
    where id in ('bv2', 'bv3');
insert into raw_mavera.generations (id, title, app, output, usage, created_at, updated_at) values
    ('gen3', 'After the tour', '{"id": "email-writer"}', 'Thank you', '{"credits_used": 13}', '2026-01-02 11:20:00+00', '2026-01-02 11:20:03+00');
insert into raw_mavera.focus_groups (id, name, status, created_at, updated_at, usage, results) values
    ('fg5', 'Prices', 'COMPLETED', '2026-01-04 10:00:00+00', '2026-01-04 11:00:00+00', '{"credits_used": 90}', '{"questions": [
        {"question_id": "q_1", "order": 3, "type": "NPS", "question": "Recommend it?", "aggregate": {"nps": 20, "mean": 7},
            "responses": [
                {"respondent": 1, "persona_id": "x1", "persona_name": "Top", "answer": 10, "reasoning": "Good."},
                {"respondent": 2, "persona_id": "x1", "persona_name": "Top", "answer": 9, "reasoning": "Fine."},
                {"respondent": 3, "persona_id": "x1", "persona_name": "Top", "answer": 9, "reasoning": "Nice."},
                {"respondent": 4, "persona_id": "x1", "persona_name": "Top", "answer": 8, "reasoning": "Fair."},
                {"respondent": 5, "persona_id": "x1", "persona_name": "Top", "answer": 3, "reasoning": "Dear."},
                {"respondent": 6, "persona_id": "x1", "persona_name": "Top", "answer": 2, "reasoning": "No."}]},
        {"question_id": "q_2", "order": 4, "type": "LIKERT", "question": "Is it dear?", "aggregate": {"mean": 3.4},
            "responses": [
                {"respondent": 1, "persona_id": "x1", "persona_name": "Top", "answer": 1, "reasoning": "No."},
                {"respondent": 2, "persona_id": "x1", "persona_name": "Top", "answer": 3, "reasoning": "Perhaps."},
                {"respondent": 3, "persona_id": "x1", "persona_name": "Top", "answer": 4, "reasoning": "A little."},
                {"respondent": 4, "persona_id": "x1", "persona_name": "Top", "answer": 4, "reasoning": "A bit."},
                {"respondent": 5, "persona_id": "x1", "persona_name": "Top", "answer": 5, "reasoning": "Yes."}]}]}');
update raw_mavera.focus_groups set created_at = '2026-01-02 10:00:05+00', updated_at = '2026-01-02 10:02:00+00' where id = 'fg1';
update raw_mavera.personas set pipeline_type = 'market_pulse', type = 'b2c', category = 'custom', created_at = '2025-12-01 10:00:31+00'
    where id = 'x1';

-- Loads and runs: SendGrid, Wistia and Klaviyo were read twice, the second time late, in part, and not at all.
insert into raw_ops.loads
    (run_id, vendor, resource, started_at, finished_at, requests, waits, rows_read, rows_new, rows_changed, rows_late, outcome) values
    ('run1', 'sendgrid', 'global_stats', '2026-01-03 06:00:00+00', '2026-01-03 06:01:00+00', 3, 1, 20, 19, 0, 0, 'loaded'),
    ('run2', 'sendgrid', 'global_stats', '2026-01-04 06:00:00+00', '2026-01-04 06:02:00+00', 2, 0, 5, 1, 3, 2, 'loaded'),
    ('run1', 'wistia', 'events', '2026-01-03 06:00:00+00', '2026-01-03 06:03:00+00', 7, 2, 100, 99, 1, 0, 'loaded'),
    ('run2', 'wistia', 'events', '2026-01-04 06:00:00+00', '2026-01-04 06:00:30+00', 1, 0, 0, 0, 0, 0, 'failed'),
    ('run1', 'klaviyo', 'events', '2026-01-07 06:00:00+00', '2026-01-07 06:04:00+00', 9, 4, 5000, 4990, 10, 7, 'loaded'),
    ('run1', 'klaviyo', 'profiles', '2026-01-07 06:00:00+00', '2026-01-07 06:00:20+00', 2, 0, 110, 110, 0, 0, 'loaded');
insert into raw_ops.origins values ('sendgrid', 'live', 'https://a'), ('wistia', 'sandbox', 'https://b'), ('klaviyo', 'live', 'https://c');
insert into raw_ops.set_aside (vendor, resource, field, reason, row_key, run_id, set_aside_at) values
    ('klaviyo', 'events', 'datetime', 'no time', 'e1', 'run1', '2026-01-07 06:00:00+00'),
    ('klaviyo', 'events', 'datetime', 'no time', 'e2', 'run1', '2026-01-07 06:00:00+00');
insert into raw_ops.runs (run_id, event, step, scope, happened_at, outcome, detail, row_count, request_count, wait_count, credits, parts) values
    ('run1', 'begin', 'ingest', 'klaviyo', '2026-01-07T06:00:00+00:00', null, null, null, null, null, null, null),
    ('run1', 'end', 'ingest', 'klaviyo', '2026-01-07T06:04:00.5+00:00', 'well', 'all of it', 5100, 11, 4, null, '{"vendor": 130.5, "allowance": 44.25, "parse": 12.5, "compare": 3.75, "load": 21.25}'),
    ('run3', 'begin', 'activate', null, '2026-01-07T06:10:00+00:00', null, null, null, null, null, null, null),
    ('run3', 'end', 'activate', null, '2026-01-07T06:10:09+00:00', 'failed', 'one refused', 2, 3, 1, 313, null),
    ('run4', 'begin', 'activate', null, '2026-01-07T07:00:00+00:00', null, null, null, null, null, null, null),
    ('run4', 'end', 'activate', null, '2026-01-07T07:00:01+00:00', 'well', null, 0, 1, 0, 0, null),
    ('run5', 'begin', 'transform', null, '2026-01-07T06:05:00+00:00', null, null, null, null, null, null, null),
    ('run6', 'begin', 'transform', null, '2026-01-07T06:06:00+00:00', null, null, null, null, null, null, null),
    ('run6', 'end', 'transform', null, '2026-01-07T06:06:30+00:00', 'well', null, 182, null, null, null, '{"model": 8.5, "test": 2.25, "publish": 1.75}');

-- An A/B test with too few messages, and actions that ask for an address, one of which is below the median of both.
insert into raw_sendgrid.single_sends (id, name, status, is_abtest, abtest, send_at) values
    ('s6', 'Few', 'triggered', true, '{"type": "subject", "winner_criteria": "open"}', '2025-03-01 15:00:00+00');
insert into raw_sendgrid.single_send_variation_stats
    (id, ab_variation, ab_phase, aggregation, requests, delivered, opens, unique_opens, clicks, unique_clicks) values
    ('s6', 'e', 'test', 'total', 31, 30, 12, 9, 3, 2), ('s6', 'f', 'test', 'total', 29, 28, 5, 4, 1, 1);
insert into raw_wistia.media_stats (media_id, measured_on, load_count, play_count, actions) values
    ('m4', '2026-01-02', 11, 8, '[{"type": "Turnstile", "action_count": 80, "impression_count": 400}]'),
    ('m5', '2026-01-02', 13, 6, '[{"type": "Turnstile", "action_count": 1, "impression_count": 401}]');

-- Objects that are gone from their vendor's lists.
insert into raw_sendgrid.lists (id, name, contact_count, gone_at) values ('l2', 'Gone list', 9, '2026-01-02 06:00:00+00');
insert into raw_sendgrid.segments (id, name, contacts_count, gone_at) values ('g2', 'Gone segment', 8, '2026-01-02 06:00:00+00');
insert into raw_sendgrid.unsubscribe_groups (id, name, unsubscribes, gone_at) values (4, 'Gone group', 7, '2026-01-02 06:00:00+00');
insert into raw_sendgrid.single_sends (id, name, status, is_abtest, send_at, gone_at) values
    ('s7', 'Gone send', 'triggered', false, '2025-12-30 15:00:00+00', '2026-01-02 06:00:00+00');
insert into raw_wistia.medias (hashed_id, name, type, duration, gone_at) values ('m8', 'Gone media', 'Video', 6, '2026-01-02 06:00:00+00');
insert into raw_wistia.projects (id, hashed_id, name, media_count, gone_at) values (3, 'f3', 'Gone project', 6, '2026-01-02 06:00:00+00');
insert into raw_klaviyo.lists (id, name, gone_at) values ('G', 'Gone list', '2026-01-02 06:00:00+00');
insert into raw_klaviyo.segments (id, name, gone_at) values ('g', 'Gone segment', '2026-01-02 06:00:00+00');
insert into raw_klaviyo.campaigns (id, channel, name, status, send_time, gone_at) values
    ('c6', 'email', 'Gone sale', 'Sent', '2026-01-01 08:00:00+00', '2026-01-02 06:00:00+00');
insert into raw_klaviyo.flows (id, name, status, archived, trigger_type, gone_at) values
    ('FLOW3', 'Gone flow', 'live', false, 'Metric', '2026-01-02 06:00:00+00');

-- A question that was asked before and is asked again, and a study that was refused before it existed.
insert into raw_mavera.ledger
    (entry_id, call_id, event, written_at, kind, record_key, job, action, facts, payload, credits_high) values
    (215, 'older edits', 'begin', '2025-12-20T11:10:00+00:00', 'analyses', 'drop-offs:m1', 'drop-offs', 'create', '{"media_name": "Media"}',
        '{"message": "Which seconds, then?"}', 75),
    (217, 'refused study', 'begin', '2026-01-02T11:40:00+00:00', 'focus-groups', 'ab-tests:send_gone', 'ab-tests', 'create', '{}', '{}', 200);
insert into raw_mavera.ledger (entry_id, call_id, event, written_at, state, remote_id, thread_id, credits, credits_source, error, answer) values
    (216, 'older edits', 'end', '2025-12-20T11:10:40+00:00', 'done', 'msg0', 't2', 29, 'answer', null, '{"content": "Cut more."}'),
    (218, 'refused study', 'end', '2026-01-02T11:40:03+00:00', 'failed', null, null, 0, 'none', '422: no persona', null);

-- A person with two profiles, one of which may not be mailed, a segment without members, and a prediction for a missing profile.
insert into raw_klaviyo.profiles (id, email, location, created, updated, subscriptions) values
    ('p111', 'P72@example.com', '{"country": "CA"}', '2025-01-11 10:00:00+00', '2025-01-12 10:00:00+00',
        '{"email": {"marketing": {"can_receive_email_marketing": true, "consent": "UNSUBSCRIBED", "suppression": []}}}');
insert into raw_klaviyo.segments (id, name, created, updated) values ('h', 'Nobody', '2025-07-01 10:00:00+00', '2025-07-02 10:00:00+00');
insert into raw_klaviyo.predictive_analytics (profile_id, measured_on, predicted_clv) values ('missing', '2026-01-02', 500);

-- A week before the last day of mail; a product with few buyers; views at both edges of the year of reading habits.
insert into raw_sendgrid.global_stats (date, requests, delivered, opens, unique_opens, clicks, unique_clicks) values
    ('2025-12-26', 150, 140, 85, 70, 14, 11);
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties)
    select concat('few ', range), concat('p', range), 'ORDERED', '2025-11-10 12:00:00+00', '{"ProductID": "P4", "Name": "Lid", "$value": 3}'
    from range(40, 46);
insert into raw_wistia.events (event_key, visitor_key, media_id, media_name, percent_viewed, email, country, region, received_at) values
    ('a year ago', 'w10', 'm7', 'Recipe', 0.2, null, 'US', 'Ohio', '2025-01-03 12:00:00+00'),
    ('not yet a year ago', 'w11', 'm7', 'Recipe', 0.2, null, 'US', 'Ohio', '2025-01-04 12:00:00+00');

-- Days of a media and of a single send that are no longer listed, and the media's captions.
insert into raw_wistia.media_stats_by_date (media_id, date, load_count, play_count, hours_watched) values
    ('m9', '2025-12-30', 8, 3, 0.125);
insert into raw_sendgrid.single_send_daily_stats (id, date, delivered, opens, unique_opens) values ('s9', '2025-12-30', 12, 8, 7);
insert into raw_wistia.captions (media_id, language, text) values ('m9', 'eng', E'1\n00:00:00,000 --> 00:00:02,000\nGone now.\n');
insert into raw_wistia.caption_cues (media_id, language, cue_number, started_seconds, ended_seconds, text) values
    ('m9', 'eng', 1, 0, 2, 'Gone now.');

-- A study of an A/B test with the answers that speak for its hypothesis, and the profile that Mavera made of a persona.
insert into raw_mavera.ledger
    (entry_id, call_id, event, written_at, kind, record_key, job, action, facts, payload, credits_high) values
    (219, 'decided study', 'begin', '2026-01-03T11:40:00+00:00', 'focus-groups', 'ab-tests:send_s4', 'ab-tests', 'create', '{"tested": "content"}',
        '{"questions": [{"options": ["It does not say what is in the e-mail", "It sounds like advertising"]}]}', 200);
insert into raw_mavera.ledger (entry_id, call_id, event, written_at, state, remote_id, credits, credits_source, answer) values
    (220, 'decided study', 'end', '2026-01-03T11:42:03+00:00', 'done', 'fg6', 81, 'answer', null);
insert into raw_mavera.focus_groups (id, name, status, created_at, updated_at, usage, results) values
    ('fg6', 'Says too little: Texts | Ref: ab-tests:send_s4 0123456789ab', 'COMPLETED', '2026-01-03 11:40:00+00', '2026-01-03 11:42:00+00', '{"credits_used": 81}', '{"questions": [
        {"question_id": "q_3", "order": 3, "type": "MULTIPLE_CHOICE", "question": "What keeps you from it?", "responses": [
            {"respondent": 1, "persona_id": "x1", "persona_name": "Top", "answer": "It does not say what is in the e-mail", "reasoning": "Vague."},
            {"respondent": 2, "persona_id": "x1", "persona_name": "Top", "answer": "It does not say what is in the e-mail", "reasoning": "Vague."},
            {"respondent": 3, "persona_id": "x9", "persona_name": "Other", "answer": "It sounds like advertising", "reasoning": "Loud."}]}]}');
update raw_mavera.ledger set answer = '{"pipeline_type": "market_pulse", "details": {"goals": ["Less to read"]}}' where entry_id = 204;

-- History: what earlier builds kept. Segments were read on three days, and their members' browsers on two; p60 and p61 are w10 and w11.
insert into raw_ops.loads
    (run_id, vendor, resource, started_at, finished_at, requests, waits, rows_read, rows_new, rows_changed, rows_late, outcome) values
    ('run0', 'klaviyo', 'segment_members', '2026-01-02 06:00:00+00', '2026-01-02 06:01:00+00', 5, 0, 9, 2, 0, 0, 'loaded'),
    ('run1', 'klaviyo', 'segment_members', '2026-01-07 06:00:00+00', '2026-01-07 06:00:30+00', 5, 0, 9, 1, 0, 0, 'loaded'),
    ('run1', 'klaviyo', 'list_members', '2026-01-07 06:00:00+00', '2026-01-07 06:00:31+00', 5, 0, 9, 1, 0, 0, 'loaded');
insert into raw_ops.observations
    select 'segment', 'p' || range, 'e', 'member', 'vendor', '2025-06-03 10:00:00+00', '2026-01-01 12:00:00+00', '2026-01-01 12:05:00+00'
    from range(40, 96)
    union all
    select 'segment', 'p' || range, 'a', 'member', 'vendor', '2025-05-03 10:00:00+00', '2026-01-01 12:00:00+00', '2026-01-01 12:05:00+00'
    from range(3, 43);
insert into raw_ops.observations values
    ('segment', 'p60', 'a', 'member', 'vendor', '2025-05-04 10:00:00+00', '2026-01-01 12:00:00+00', '2026-01-01 12:05:00+00'),
    ('segment', 'p60', 'a', null, 'vendor', null, '2026-01-02 06:01:00+00', '2026-01-02 06:05:00+00'),
    ('segment', 'p61', 'a', 'member', 'vendor', '2026-01-01 20:00:00+00', '2026-01-02 06:01:00+00', '2026-01-02 06:05:00+00'),
    ('segment', 'p63', 'a', 'member', 'vendor', '2026-01-01 21:00:00+00', '2026-01-02 06:01:00+00', '2026-01-02 06:05:00+00'),
    ('segment', 'p59', 'a', 'member', 'vendor', '2026-01-01 21:00:00+00', '2026-01-02 06:01:00+00', '2026-01-02 06:05:00+00'),
    ('segment', 'p1', 'gone', 'member', 'vendor', null, '2026-01-01 12:00:00+00', '2026-01-01 12:05:00+00'),
    ('cluster', 'w10', 'all', 'binge_watchers', 'earlier', null, '2026-01-01 11:00:00+00', '2026-01-01 12:05:00+00'),
    ('cluster', 'w11', 'all', 'engaged_explorers', 'earlier', null, '2026-01-01 11:00:00+00', '2026-01-01 12:05:00+00'),
    ('cluster', 'w12', 'all', 'bouncers', 'earlier', null, '2026-01-01 11:00:00+00', '2026-01-01 12:05:00+00'),
    ('cluster', 'w12', 'all', 'binge_watchers', 'earlier', null, '2026-01-02 11:00:00+00', '2026-01-02 12:05:00+00'),
    ('cluster', 'w13', 'all', 'binge_watchers', 'earlier', null, '2026-01-02 11:00:00+00', '2026-01-02 12:05:00+00'),
    ('tier', 'p100', 'all', 'rest', 'earlier', null, '2026-01-01 11:30:00+00', '2026-01-01 12:05:00+00'),
    ('tier', 'p100', 'all', 'middle', 'earlier', null, '2026-01-02 11:30:00+00', '2026-01-02 12:05:00+00'),
    ('tier', 'p99', 'all', 'middle', 'earlier', null, '2026-01-02 11:30:00+00', '2026-01-02 12:05:00+00'),
    ('tier', 'p99', 'all', 'top', 'later', null, '2026-01-03 11:30:00+00', '2026-01-03 12:05:00+00');
insert into raw_klaviyo.segments (id, name, created, updated, gone_at) values
    ('gone', 'Gone', '2025-07-01 10:00:00+00', '2025-07-02 10:00:00+00', '2026-01-07 06:00:10+00');
-- E-mails as Klaviyo tells of them: the domain of each recipient, two variations of the first message of the flow, links, machines, and
-- mail that bounced, was dropped, reported as spam or unsubscribed from. SendGrid has a provider with spam, and lists with more statuses.
update raw_klaviyo.events set event_properties = json_merge_patch(event_properties, json_object(
        'Email Domain', case when cast(regexp_extract(profile_id, '[0-9]+$') as int) % 2 = 0 then 'GMail.com' else 'firm.example' end,
        'Inbox Provider', case when cast(regexp_extract(profile_id, '[0-9]+$') as int) % 2 = 0 then 'Gmail' else 'Office 365' end))
    where metric_id in ('RECEIVED', 'OPENED', 'CLICKED') and event_properties like '%$message%';
update raw_klaviyo.events set event_properties = json_merge_patch(event_properties,
        json_object('$variation', if(cast(profile_id[2:] as int) % 3 = 1, 'one', 'two')))
    where id like 'M1-%';
update raw_klaviyo.events set event_properties = json_merge_patch(event_properties,
        json_object('URL', if(profile_id like '%5', 'https://shop.example/bowls?for=you#top', 'https://shop.example/kettles')))
    where metric_id = 'CLICKED' and (id like 'M1-%' or id like 'm4-%');
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties) values
    ('machine 1', 'f1', 'OPENED', '2026-01-05 11:30:00+00', '{"$flow": "FLOW", "$message": "M2", "machine_open": true}'),
    ('machine 2', 'f499', 'OPENED', '2026-01-05 11:30:00+00', '{"$flow": "FLOW", "$message": "M2", "machine_open": true}'),
    ('machine 3', 'hm42', 'OPENED', '2025-12-10 09:10:00+00', '{"$message": "m4", "machine_open": true}'),
    ('machine 4', 'hm460', 'OPENED', '2025-12-10 09:10:00+00', '{"$message": "m4", "machine_open": true}'),
    ('bot', 'hm460', 'CLICKED', '2025-12-10 09:10:00+00', '{"$message": "m4", "Bot Click": true, "URL": "https://shop.example/kettles"}'),
    ('address', 'hm41', 'CLICKED', '2025-12-10 09:11:00+00', '{"$message": "m4", "URL": "https://shop.example/p50@example.com"}');
insert into raw_klaviyo.metrics (id, name) values
    ('BOUNCED', 'Bounced Email'), ('DROPPED', 'Dropped Email'), ('SPAM', 'Marked Email as Spam'), ('LEFT', 'Unsubscribed from Email Marketing');
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties) values
    ('bounced 1', 'p1', 'BOUNCED', '2025-12-10 08:31:00+00', '{"$message": "m4", "Email Domain": "gmail.com", "Bounce Type": "Hard"}'),
    ('bounced 2', 'p2', 'BOUNCED', '2025-12-10 08:32:00+00', '{"$message": "m4", "Email Domain": "firm.example", "Bounce Type": "Soft"}'),
    ('bounced 3', 'p3', 'BOUNCED', '2026-01-05 08:32:00+00', '{"$flow": "FLOW", "$message": "M1"}'),
    ('dropped', 'p4', 'DROPPED', '2026-01-05 08:33:00+00', '{"$flow": "FLOW", "$message": "M1", "Email Domain": "firm.example"}'),
    ('spam 1', 'f3', 'SPAM', '2026-01-05 11:58:00+00', '{"$flow": "FLOW", "$message": "M1", "$variation": "two", "Email Domain": "gmail.com"}'),
    ('left', 'f4', 'LEFT', '2026-01-05 11:59:00+00', '{"$flow": "FLOW", "$message": "M1", "$variation": "one", "Email Domain": "gmail.com"}');
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties)
    select concat(id, ' again'), profile_id, metric_id, datetime - interval 1 second, event_properties
    from raw_klaviyo.events where id in ('bounced 1', 'dropped', 'spam 1', 'left');
update raw_klaviyo.events set datetime = '2026-01-05 10:00:30+00' where id in ('M1-RECEIVED-6', 'M1-RECEIVED-7');
-- A reader on a Saturday evening, twice, with a time zone and no country.
update raw_klaviyo.profiles set location = '{"timezone": "America/New_York"}' where id = 'p98';
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties) values
    ('read on saturday 1', 'p98', 'OPENED', '2026-01-04 00:30:00+00', '{"Client OS Family": "Windows"}'),
    ('read on saturday 2', 'p98', 'CLICKED', '2026-01-04 00:31:00+00', '{"Client OS Family": "Windows"}');
insert into raw_sendgrid.mailbox_provider_stats (date, type, name, requests, processed, delivered, drops, bounces, blocks, spam_reports)
    values
    ('2025-06-02', 'mailbox_provider', 'Yahoo', 2100, 2050, 2000, 50, 30, 20, 15);
insert into raw_sendgrid.suppressions (list, email, created, status) values
    ('bounces', 'full@yahoo.com', '2025-06-02 10:00:00+00', '5.2.2'),
    ('spam_reports', 'angry@yahoo.com', '2025-06-02 11:00:00+00', null);
update raw_sendgrid.single_sends set categories = '["news", "tips"]' where id = 's5';
insert into raw_sendgrid.single_sends (id, name, status, is_abtest, categories, send_at) values
    ('s8', 'An old letter', 'triggered', false, '["old"]', '2024-05-02 15:00:00+00');
insert into raw_sendgrid.single_send_stats
    (id, ab_variation, ab_phase, aggregation, requests, delivered, opens, unique_opens, clicks, unique_clicks) values
    ('s8', 'all', 'all', 'total', 64, 62, 33, 25, 17, 15);
insert into raw_sendgrid.single_send_link_stats (id, sent_at, url, url_location, clicks) values
    ('s5', '2025-11-20 15:00:00+00', 'https://shop.example/news?utm_source=letter', 0, 3),
    ('s5', '2025-11-20 15:00:00+00', 'https://shop.example/news', 2, 1),
    ('s5', '2025-11-20 15:00:00+00', 'mailto:us@shop.example', 3, 1);
-- Buyers over a year: some came back, one after a long pause; one bought twice in a day, one long ago. One of Klaviyo's predictions is due.
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties, attributions)
    select concat('year ', place), profile, 'PLACED', moment, json_object('$value', amount, '$value_currency', 'USD'), '[]'
    from (values
        (1, 'p61', timestamptz '2025-06-02 10:00:00+00', 20), (2, 'p61', '2025-08-01 10:00:00+00', 30), (3, 'p61', '2025-11-20 10:00:00+00', 25),
        (4, 'p62', '2025-06-10 10:00:00+00', 40), (5, 'p62', '2025-06-10 12:00:00+00', 10), (6, 'p63', '2025-07-05 10:00:00+00', 50),
        (7, 'p63', '2025-12-06 10:00:00+00', 60), (8, 'p64', '2025-07-06 10:00:00+00', 15), (9, 'p65', '2025-08-20 10:00:00+00', 35),
        (10, 'p65', '2025-09-15 10:00:00+00', 45), (11, 'p66', '2025-09-30 10:00:00+00', 70), (12, 'p66', '2025-11-02 10:00:00+00', 5),
        (13, 'p67', '2024-12-01 10:00:00+00', 22), (14, 'p67', '2025-12-07 10:00:00+00', 23), (15, 'p68', '2024-12-01 11:00:00+00', 12),
        (16, 'p101', '2025-03-01 10:00:00+00', 33)
    ) as orders (place, profile, moment, amount);
insert into raw_klaviyo.predictive_analytics (profile_id, measured_on, predicted_clv, predicted_number_of_orders, churn_probability) values
    ('p101', '2025-01-04', 44, 1.5, 0.25);
-- What was fitted to them, to the last day with an event.
insert into raw_ops.lifetime_fits
    (purpose, mark, fitted_to, horizon_days, buyer_count, repeat_buyer_count, r, alpha, a, b, p, q, gamma)
    select purpose, mark, '', days, buyers, again, r, alpha, a, b, p, q, gamma
    from (values
        ('forecast', 'm1', 365, 33, 5, 0.25, 4.5, 0.75, 2.5, 6.25, 3.75, 15.5), ('check', 'm2', 90, 9, 2, 0.3, 5.5, 0.8, 2.25, 6, 3.5, 16)
    ) as fits (purpose, mark, days, buyers, again, r, alpha, a, b, p, q, gamma);
update raw_ops.lifetime_fits set fitted_to = (
    select cast(cast(max(datetime) as date) - if(purpose = 'check', 90, 0) as text) from raw_klaviyo.events
);
insert into raw_ops.lifetime_expectations
    select purpose, 0, 0, range, days * (0.002 + 0.01 / (20 + range)), 1
    from range(430), (values ('forecast', 365), ('check', 90)) as purposes (purpose, days)
    union all
    select purpose, frequency, recency, date_diff('day', first_on, until) - if(purpose = 'check', 90, 0), expected, alive
    from (select cast(max(datetime) as date) as until from raw_klaviyo.events), (values
        ('check', 1, 60, date '2025-06-02', 0.9, 0.75), ('check', 1, 26, '2025-08-20', 0.6, 0.9),
        ('forecast', 2, 171, '2025-06-02', 4.25, 0.95), ('forecast', 1, 154, '2025-07-05', 2.75, 0.85),
        ('forecast', 1, 26, '2025-08-20', 0.7, 0.35), ('forecast', 1, 33, '2025-09-30', 1.5, 0.6),
        ('forecast', 1, 371, '2024-12-01', 1.25, 0.9)
    ) as returned (purpose, frequency, recency, first_on, expected, alive);
insert into raw_ops.observations values
    ('consent', 'p61', 'email', 'never_subscribed', 'vendor', null, '2026-01-01 06:00:00+00', '2026-01-01 12:05:00+00'),
    ('consent', 'p62', 'sms', 'subscribed', 'vendor', '2025-11-01 06:00:00+00', '2026-01-01 06:00:00+00', '2026-01-01 12:05:00+00'),
    ('consent', 'p62', 'sms', 'unsubscribed', 'vendor', '2026-01-02 05:00:00+00', '2026-01-02 06:00:00+00', '2026-01-02 12:05:00+00'),
    ('column', 'raw_klaviyo.events', 'id', 'VARCHAR', 'vendor', null, '2026-01-01 12:04:00+00', '2026-01-01 12:04:00+00'),
    ('column', 'raw_klaviyo.events', 'score', 'BIGINT', 'vendor', null, '2026-01-02 12:04:00+00', '2026-01-02 12:04:00+00'),
    ('column', 'raw_klaviyo.events', 'score', 'DOUBLE', 'vendor', null, '2026-01-03 12:04:00+00', '2026-01-03 12:04:00+00'),
    ('column', 'raw_klaviyo.events', 'score', null, 'vendor', null, '2026-01-04 12:04:00+00', '2026-01-04 12:04:00+00');
