-- Raw rows whose marts can be counted by hand.

-- Two e-mail days. Of 100 unique opens, 45 are on phones, 15 on tablets, 30 on desktops, 10 in webmail.
insert into raw_sendgrid.global_stats (date, requests, delivered, opens, unique_opens, clicks, unique_clicks) values
    ('2026-01-01', 110, 100, 90, 60, 9, 6),
    ('2026-01-02', 0, 0, 50, 40, 2, 2);
insert into raw_sendgrid.device_stats (date, type, name, opens, unique_opens) values
    ('2026-01-01', 'device', 'Phone', 40, 30),
    ('2026-01-01', 'device', 'Tablet', 12, 10),
    ('2026-01-01', 'device', 'Desktop', 25, 20),
    ('2026-01-02', 'device', 'Phone', 20, 15),
    ('2026-01-02', 'device', 'Tablet', 6, 5),
    ('2026-01-02', 'device', 'Desktop', 12, 10),
    ('2026-01-02', 'device', 'Webmail', 11, 10);
insert into raw_sendgrid.geo_stats (country_filter, date, type, name, opens, unique_opens, clicks, unique_clicks) values
    ('', '2026-01-01', 'country', 'US', 100, 75, 5, 5),
    ('', '2026-01-01', 'country', 'CA', 40, 25, 5, 2),
    ('US', '2026-01-01', 'province', 'CA', 100, 75, 5, 5);
insert into raw_sendgrid.single_sends (id, name, status, is_abtest, send_at) values
    ('s1', 'January', 'triggered', false, '2026-01-01 15:00:00+00'),
    ('s2', 'Draft', 'draft', false, null);
insert into raw_sendgrid.single_send_stats
    (id, ab_variation, ab_phase, aggregation, delivered, opens, unique_opens, clicks, unique_clicks) values
    ('s1', 'all', 'all', 'total', 80, 60, 40, 5, 4);

-- An A/B test: of 100 each in the test phase, 60 open the first and 40 the second, which went to the rest all the same.
insert into raw_sendgrid.single_sends (id, name, status, is_abtest, abtest, send_at) values
    ('s3', 'Subjects', 'triggered', true, '{"type": "subject", "winner_criteria": "open"}', '2025-01-01 15:00:00+00');
insert into raw_sendgrid.single_send_variation_stats
    (id, ab_variation, ab_phase, aggregation, delivered, unique_opens, unique_clicks) values
    ('s3', 'a', 'test', 'total', 100, 60, 5),
    ('s3', 'b', 'test', 'total', 100, 40, 9),
    ('s3', 'b', 'send', 'total', 800, 300, 70);
insert into raw_sendgrid.single_send_details (id, subject, ab_test) values
    ('s1', ' Happy new year ', null),
    ('s3', 'Five ideas', '{"variations": [{"id": "a", "subject": "Five ideas"}, {"id": "b", "subject": "Our letter"}]}');
insert into raw_sendgrid.single_send_daily_stats (id, date, delivered, opens, unique_opens) values
    ('s1', '2026-01-01', 80, 40, 30), ('s1', '2026-01-03', 0, 20, 15);

-- An automation of two steps; the second is opened by half as many.
insert into raw_sendgrid.automation_stats (id, step_id, aggregation, delivered, unique_opens, unique_clicks) values
    ('w', 'all', 'total', 80, 30, 4), ('w', 'first', 'total', 40, 20, 3), ('w', 'second', 'total', 40, 10, 1);

-- Ada bounced twice and was reported invalid, c2 has left all mail, c3 one type of it, a stranger was blocked once.
insert into raw_sendgrid.suppressions (list, email, created, status) values
    ('bounces', 'Ada@example.com', '2026-01-01 10:00:00+00', '5.1.1'),
    ('bounces', 'ada@example.com', '2026-01-02 10:00:00+00', ''),
    ('unsubscribes', 'c2@example.com', '2026-01-01 23:59:59+00', null),
    ('blocks', 'stranger@example.com', '2026-01-01 10:00:00+00', '4.7.0');
insert into raw_sendgrid.invalid_emails (email, created) values ('ada@example.com', '2026-01-01 10:00:00+00');
insert into raw_sendgrid.unsubscribe_groups (id, name, is_default, unsubscribes) values
    (1, 'Letters', true, 1), (2, 'Offers', null, 0);
insert into raw_sendgrid.group_suppressions (group_id, email, created_at) values
    (1, 'c3@example.com', '2026-01-01 10:00:00+00');

-- Of 50 contacts, 30 are in sales and retail (spelled in two ways), 12 in marketing and retail, 8 have no industry.
insert into raw_sendgrid.contacts (contact_id, email, first_name, updated_at, other)
    select
        'c' || range, case range when 1 then ' Ada@Example.com' else 'c' || range || '@example.com' end, 'Ada',
        '2026-01-02 10:00:00+00',
        case
            when range <= 10 then '{"custom_role": "SALES", "custom_industry": "retail "}'
            when range <= 30 then '{"custom_role": "Sales", "custom_industry": "Retail"}'
            when range <= 42 then '{"custom_role": "Marketing", "custom_industry": "Retail"}'
            else '{"custom_role": "Marketing"}'
        end
    from range(1, 51);
insert into raw_sendgrid.field_definitions (id, name, field_type) values
    ('e1_T', 'custom_role', 'Text'), ('e2_T', 'Custom_Industry', 'Text'), ('e3_N', 'score', 'Number');
insert into raw_sendgrid.lists (id, name, contact_count) values ('l1', 'Everybody', 50);
insert into raw_sendgrid.segments (id, name, contacts_count, status) values
    ('g1', 'Sales', 30, '{"query_validation": "INVALID"}');

-- One viewer of each cluster. v1 returns to m1, which remains one media; v4 is Ada's second browser.
insert into raw_wistia.medias (hashed_id, name, type)
    select 'm' || range, 'Media ' || range, 'Video' from range(1, 6);
insert into raw_wistia.visitors (visitor_key, visitor_identity) values
    ('v1', '{"email": "Ada@example.com"}'),
    ('v2', '{"email": ""}'),
    ('v3', '{"email": null}');
insert into raw_wistia.events (event_key, visitor_key, media_id, percent_viewed, email, country, received_at)
    select 'v1 ' || range, 'v1', 'm' || range, 0.8, null, 'US', '2026-01-02 10:00:00+00' from range(1, 6);
insert into raw_wistia.events (event_key, visitor_key, media_id, percent_viewed, email, country, received_at) values
    ('v1 again', 'v1', 'm1', 0.1, null, 'CA', '2026-01-03 10:00:00+00'),
    ('v2 1', 'v2', 'm1', 0.5, null, 'US', '2026-01-02 10:00:00+00'),
    ('v2 2', 'v2', 'm2', 0.5, null, 'US', '2026-01-02 10:00:00+00'),
    ('v2 3', 'v2', 'm3', 0.5, '', 'US', '2026-01-02 10:00:00+00'),
    ('v3 1', 'v3', 'm9', 0.2, null, 'US', '2026-01-02 10:00:00+00'),
    ('v4 1', 'v4', 'm1', 0.4, 'ada@example.com', 'US', '2026-01-02 10:00:00+00'),
    ('v4 2', 'v4', 'm2', 0.4, null, 'US', '2026-01-02 10:00:00+00'),
    ('v5 1', 'v5', 'm1', 0.3, null, null, '2026-01-02 10:00:00+00');
update raw_wistia.events set media_name = case media_id when 'm9' then 'Gone' else 'Media ' || media_id[2] end;
insert into raw_wistia.media_stats (media_id, measured_on, play_count) values
    ('m1', '2026-01-01', 4),
    ('m1', '2026-01-02', 6);

-- Of 100 plays of m1 (8 s), 60 leave between 2 and 4 s, the last 20 at its end; m2 (2,000 s) loses them in one cell of 2 s. The curve
-- of the day before no longer counts.
update raw_wistia.medias set duration = case hashed_id when 'm1' then 8 when 'm2' then 2000 end;
insert into raw_wistia.media_engagement (media_id, measured_on, engagement_data, rewatch_data) values
    ('m1', '2026-01-01', '[9, 0, 0, 0, 0, 0, 0, 0]', '[]'),
    ('m1', '2026-01-02', '[100, 100, 80, 40, 40, 40, 40, 20]', '[5, 5, 5, 5, 0, 0, 0, 0]');
insert into raw_wistia.media_engagement (media_id, measured_on, engagement_data, rewatch_data)
    select 'm2', '2026-01-02', to_json(list_transform(range(1000), lambda n: if(n < 500, 40, 10))), '[]';
insert into raw_wistia.captions (media_id, language, text) values
    ('m1', 'eng', E'1\n00:00:00,000 --> 00:00:03,000\nWelcome.\n\n2\n00:00:03,000 --> 00:00:08,000\nOur sponsors.\n');
insert into raw_wistia.caption_cues (media_id, language, cue_number, started_seconds, ended_seconds, text) values
    ('m1', 'eng', 1, 0, 3, 'Welcome.'), ('m1', 'eng', 2, 3, 8, 'Our sponsors.');

-- The call to action of m1 (at 6 of its 8 s) has 2 actions per 100, that of m2 has 8; their median is 5 per 100.
update raw_wistia.media_stats set actions = '[{"type": "Call to Action", "action_count": 2, "impression_count": 100}]'
    where media_id = 'm1' and measured_on = '2026-01-02';
insert into raw_wistia.media_stats (media_id, measured_on, actions) values
    ('m2', '2026-01-02', '[{"type": "Call to Action", "action_count": 8, "impression_count": 100}]');
insert into raw_wistia.customizations (media_id, auto_play, plugin) values
    ('m1', 'false', '{"postRoll-v1": {"text": "Get the kit", "time": "6", "on": "true"}}'),
    ('m2', null, null);
update raw_wistia.events set conversion_type = case event_key when 'v1 1' then 'call to action' when 'v1 2' then '0' end;
insert into raw_wistia.projects (id, hashed_id, name, media_count) values (1, 'f1', 'Cooking', 2);
update raw_wistia.medias set project = '{"id": 1, "hashedId": "f1", "name": "Cooking"}' where hashed_id = 'm1';
update raw_wistia.medias set folder = '{"id": 1, "hashed_id": "f1", "name": "Cooking"}' where hashed_id = 'm2';

-- The account has one more day than its medias.
insert into raw_wistia.media_stats_by_date (media_id, date, load_count, play_count, hours_watched) values
    ('m1', '2026-01-01', 9, 4, 0.5),
    ('m1', '2026-01-02', 5, 2, 0.25),
    ('m2', '2026-01-02', 5, 1, 0.5);
insert into raw_wistia.account_stats_by_date (date, load_count, play_count, hours_watched) values
    ('2026-01-02', 20, 5, 1), ('2026-01-03', 1, 0, 0);

-- 100 customers worth 1 to 100, the most valuable least likely to leave, and 10 without predictions.
insert into raw_klaviyo.profiles (id, email, location, subscriptions)
    select
        'p' || range,
        case when range = 100 then 'ADA@example.com' when range = 99 then '' when range > 50 then 'p' || range || '@example.com' end,
        '{"country": "US"}',
        case when range > 50 then '{"email": {"marketing": {"can_receive_email_marketing": true, "consent": "SUBSCRIBED", "suppression": []}}}' end
    from range(1, 111);
insert into raw_klaviyo.predictive_analytics
    (profile_id, measured_on, predicted_clv, average_order_value, churn_probability)
    select 'p' || range, '2026-01-02', range, 10, 1 - range / 100 from range(1, 101);
insert into raw_klaviyo.predictive_analytics (profile_id, measured_on)
    select 'p' || range, '2026-01-02' from range(101, 111);

-- Readers and Buyers share 40 of 45, Fans are all Readers, the Board is too small to be named.
insert into raw_klaviyo.segments (id, name) values
    ('a', 'Readers'), ('b', 'Buyers'), ('c', 'Fans'), ('d', 'Board');
insert into raw_klaviyo.segment_members (segment_id, profile_id)
    select 'a', 'p' || range from range(1, 43)
    union all select 'b', 'p' || range from range(3, 46)
    union all select 'c', 'p' || range from range(1, 21)
    union all select 'd', 'p' || range from range(1, 6);
insert into raw_klaviyo.segment_counts (segment_id, measured_on, profile_count) values ('a', '2026-01-02', 42);

-- Orders on the last second of a day, with a value as text, and an action without metric and value.
insert into raw_klaviyo.metrics (id, name) values ('PLACED', 'Placed Order'), ('ORDERED', 'Ordered Product');
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties) values
    ('k1', 'p1', 'PLACED', '2026-01-01 23:59:59+00', '{"$value": "19.90", "$value_currency": "usd"}'),
    ('k2', 'p1', 'PLACED', '2026-01-01 10:00:00+00', '{"$value": 10, "$value_currency": "USD"}'),
    ('k3', 'p2', null, '2026-01-01 10:00:00+00', '{"$value": ""}');

-- Four messages with one trigger, 500 received each. Opened and clicked: 200 and 50, 200 and 50, 160 and 50 (exactly a fifth below the
-- median in opens), 100 and 20. The last brought one order of 25 dollars; its text was rewritten and put in place.
insert into raw_klaviyo.metrics (id, name) values
    ('RECEIVED', 'Received Email'), ('OPENED', 'Opened Email'), ('CLICKED', 'Clicked Email');
insert into raw_klaviyo.flows (id, name, status, archived, trigger_type) values
    ('FLOW', 'Basket', 'live', false, 'Metric'), ('DRAFT', 'Idea', 'draft', false, 'Metric');
insert into raw_klaviyo.flow_actions (id, flow_id, definition)
    select '10' || range, if(range < 5, 'FLOW', 'DRAFT'), '{"type": "send-email", "data": {"status": "live"}}' from range(1, 6);
insert into raw_klaviyo.flow_messages (id, flow_action_id, channel, updated, definition)
    select
        'M' || range, '10' || range, 'email', '2026-01-06 12:00:00+00',
        json_object('name', 'Step ' || range, 'subject_line', 'Still there?')
    from range(1, 6);
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties)
    select
        concat_ws('-', message, metric, range), 'f' || range, metric, moment,
        json_object('$flow', 'FLOW', '$message', message)
    from (values
        ('M1', 'RECEIVED', 500, timestamptz '2026-01-05 10:00:00+00'), ('M1', 'OPENED', 200, '2026-01-05 11:00:00+00'),
        ('M1', 'CLICKED', 50, '2026-01-05 11:00:09+00'),
        ('M2', 'RECEIVED', 500, '2026-01-05 10:00:00+00'), ('M2', 'OPENED', 200, '2026-01-05 11:00:00+00'),
        ('M2', 'CLICKED', 50, '2026-01-05 11:00:09+00'),
        ('M3', 'RECEIVED', 500, '2026-01-05 10:00:00+00'), ('M3', 'OPENED', 160, '2026-01-05 11:00:00+00'),
        ('M3', 'CLICKED', 50, '2026-01-05 11:00:09+00'),
        ('M4', 'RECEIVED', 500, '2026-01-05 10:00:00+00'), ('M4', 'OPENED', 100, '2026-01-05 11:00:00+00'),
        ('M4', 'CLICKED', 20, '2026-01-05 11:00:09+00')
    ) as deed(message, metric, count, moment), range(1, 501)
    where range <= count;
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties, attributions) values
    ('k4', 'f1', 'PLACED', '2026-01-05 12:00:00+00',
        '{"$value": 25, "$value_currency": "USD"}', '[{"id": "a1", "flow_id": "FLOW", "flow_message_id": "M4"}]');
insert into raw_klaviyo.metric_aggregates
    (metric_id, grouped_by, flow_id, message_id, date, event_count, unique_count, sum_value) values
    ('RECEIVED', '$message', 'FLOW', 'M4', '2026-01-05', 500, 500, 0),
    ('OPENED', '$message', 'FLOW', 'M4', '2026-01-05', 100, 100, 0),
    ('OPENED', '$message', '', 'of a campaign', '2026-01-05', 7, 7, 0),
    ('PLACED', '$attributed_message', 'FLOW', 'M4', '2026-01-05', 1, 1, 25),
    ('PLACED', '$attributed_message', '', '', '2026-01-05', 3, 2, 60);
insert into raw_klaviyo.flow_values
    (flow_id, flow_message_id, send_channel, measured_on, recipients, delivered, opens_unique, clicks_unique, conversion_value)
    values ('FLOW', 'M4', 'email', '2026-01-05', 1, 1, 1, 0, 0), ('FLOW', 'M4', 'email', '2026-01-06', 500, 500, 100, 20, 25);

insert into raw_mavera.ledger
    (entry_id, call_id, event, written_at, kind, record_key, job, facts, credits_high) values
    (101, 'rewrite', 'begin', '2026-01-06T10:00:00+00:00', 'generations', 'flow-rewrites:M4', 'flow-rewrites', '{}', 30);
insert into raw_mavera.ledger (entry_id, call_id, event, written_at, state, remote_id, credits) values
    (102, 'rewrite', 'end', '2026-01-06T10:00:09+00:00', 'done', 'text of M4', 15);

-- A sale by e-mail to 50, of whom 5 click and one buys for 19.90, and a day later by text to 40, of whom 12 click.
insert into raw_klaviyo.metrics (id, name) values
    ('RECEIVED SMS', 'Received SMS'), ('CLICKED SMS', 'Clicked SMS');
insert into raw_klaviyo.campaigns (id, channel, name, status, send_time) values
    ('c1', 'email', 'Sale (e-mail)', 'Sent', '2026-01-01 08:00:00+00'),
    ('c2', 'sms', 'Sale, SMS', 'Sent', '2026-01-02 08:00:00+00'),
    ('c3', 'sms', 'Next sale', 'Draft', null);
insert into raw_klaviyo.campaign_messages (id, campaign_id, definition) values
    ('m1', 'c1', '{"channel": "email", "content": {"subject": "All must go"}}'),
    ('m2', 'c2', '{"channel": "sms", "content": {"body": "It goes"}}');
insert into raw_klaviyo.events (id, profile_id, metric_id, datetime, event_properties)
    select concat('r', range), concat('p', range), 'RECEIVED', '2026-01-01 09:00:00+00', '{"$message": "m1"}' from range(1, 51)
    union all select concat('o', range), concat('p', range), 'OPENED', '2026-01-01 09:30:00+00', '{"$message": "m1"}'
        from range(1, 21)
    union all select concat('c', range), concat('p', range), 'CLICKED', '2026-01-01 09:30:00+00', '{"$message": "m1"}'
        from range(1, 6)
    union all select concat('rs', range), concat('p', range), 'RECEIVED SMS', '2026-01-02 09:00:00+00', '{"$message": "c2"}'
        from range(51, 91)
    union all select concat('cs', range), concat('p', range), 'CLICKED SMS', '2026-01-02 09:30:00+00', '{"$message": "c2"}'
        from range(51, 63);
update raw_klaviyo.events
    set event_properties = '{"$value": "19.90", "$value_currency": "usd", "$attribution": {"$message": "m1"}}' where id = 'k1';
insert into raw_klaviyo.campaign_values
    (campaign_id, campaign_message_id, send_channel, measured_on, delivered, clicks_unique, conversion_uniques,
        conversion_value) values
    ('c1', 'm1', 'email', '2026-01-02', 50, 5, 1, 19.9);
insert into raw_klaviyo.lists (id, name, opt_in_process) values ('L', 'Letter', 'double_opt_in');
insert into raw_klaviyo.list_members (list_id, profile_id)
    select 'L', concat('p', range) from range(41, 61);

-- An existing persona, an answered analysis, and a call with an unknown outcome.
insert into raw_mavera.personas (id, name, description, is_custom) values
    ('base', 'Base', 'base', false),
    ('x1', 'Top', 'words', true);
insert into raw_mavera.threads (id, title, messages) values
    ('t1', 'Segments', '[{"id": "msg1", "role": "assistant", "content": "Merge them."}]');
insert into raw_mavera.ledger
    (entry_id, call_id, event, written_at, kind, record_key, job, payload, credits_high) values
    (1, 'c1', 'begin', '2026-01-02T10:00:00+00:00', 'personas', 'clv-tiers:top', 'clv-tiers',
        '{"name": "Top", "description": "words"}', 300),
    (3, 'c2', 'begin', '2026-01-02T10:00:02+00:00', 'analyses', 'segment-overlap:account', 'segment-overlap',
        '{"message": "Which?"}', 75),
    (5, 'c3', 'begin', '2026-01-02T10:00:04+00:00', 'personas', 'clv-tiers:rest', 'clv-tiers',
        '{"name": "Rest"}', 300);
insert into raw_mavera.ledger (entry_id, call_id, event, written_at, state, remote_id, thread_id, credits) values
    (2, 'c1', 'end', '2026-01-02T10:00:01+00:00', 'done', 'x1', null, 300),
    (4, 'c2', 'end', '2026-01-02T10:00:03+00:00', 'done', 'msg1', 't1', 20);

-- A study of two respondents whose second question has no aggregates, one still in progress, and one of another sender.
insert into raw_mavera.focus_groups (id, name, status, usage, results) values
    ('fg1', 'Pair', 'COMPLETED', '{"credits_used": 70}', '{"questions": [
        {"question_id": "q_1", "order": 1, "type": "NPS", "question": "Recommend?",
            "aggregate": {"nps": 50, "mean": 8.5},
            "responses": [
                {"respondent": 1, "persona_id": "x1", "persona_name": "Top", "answer": 10, "reasoning": "Good."},
                {"respondent": 2, "persona_id": "x9", "persona_name": "Other", "answer": 7, "reasoning": "Fair."}]},
        {"question_id": "q_2", "order": 2, "type": "open_ended", "question": "Why?",
            "responses": [
                {"respondent": 1, "persona_id": "x1", "persona_name": "Top", "answer": "It fits.", "reasoning": ""}]}
    ]}'),
    ('fg2', 'Pair', 'PENDING', null, null),
    ('fg3', 'By hand', 'complete', null, '{"questions": [{"question_id": "q_1", "type": "NPS"}]}');
insert into raw_mavera.ledger
    (entry_id, call_id, event, written_at, kind, record_key, job, facts, credits_high) values
    (6, 'c4', 'begin', '2026-01-02T10:00:05+00:00', 'focus-groups', 'product-affinity:P1_P2', 'product-affinity',
        '{"lift": 2}', 200);
insert into raw_mavera.ledger (entry_id, call_id, event, written_at, state, remote_id, credits) values
    (7, 'c4', 'end', '2026-01-02T10:00:06+00:00', 'waiting', 'fg1', 200),
    (8, 'c4', 'end', '2026-01-02T10:02:06+00:00', 'done', 'fg1', 70);

-- A brand voice that a later one replaced, that later one, and an unfinished one of another sender.
insert into raw_mavera.brand_voices (id, label, status, voice_summary, tone, vocabulary) values
    ('bv1', 'Videos', 'completed', 'Old.', null, null),
    ('bv2', 'Videos', 'READY', 'Warm.', '{"adjectives": ["warm", "brief"]}', '{"preferred_terms": ["kettle"]}'),
    ('bv3', 'By hand', 'generating', null, null, null);
insert into raw_mavera.ledger
    (entry_id, call_id, event, written_at, kind, record_key, job, facts, credits_high) values
    (9, 'c5', 'begin', '2026-01-02T10:00:07+00:00', 'brand-voices', 'brand-voice:account', 'brand-voice',
        '{"media_count": 1, "word_count": 7}', 50),
    (11, 'c6', 'begin', '2026-02-02T10:00:07+00:00', 'brand-voices', 'brand-voice:account', 'brand-voice',
        '{"media_count": 2, "word_count": 10}', 50);
insert into raw_mavera.ledger (entry_id, call_id, event, written_at, state, remote_id, credits) values
    (10, 'c5', 'end', '2026-01-02T10:00:08+00:00', 'done', 'bv1', 50),
    (12, 'c6', 'end', '2026-02-02T10:00:08+00:00', 'done', 'bv2', 50);

-- A text in the spelling of Mavera's guide, and one whose app was still working when it was listed.
insert into raw_mavera.generations (id, title, app, markdown, output, usage) values
    ('gen1', 'Follow-up', '"email_writer"', 'Dear viewer', null, '{"credits_used": 12}'),
    ('gen2', 'Follow-up', '{"id": "email-writer"}', null, ' ', null);
insert into raw_mavera.ledger
    (entry_id, call_id, event, written_at, kind, record_key, job, facts, payload, credits_high) values
    (13, 'c7', 'begin', '2026-01-02T10:03:00+00:00', 'generations', 'viewer-follow-ups:m1', 'viewer-follow-ups',
        '{"media_name": "Media 1"}', '{"app_id": "email-writer"}', 30),
    (15, 'c8', 'begin', '2026-01-02T10:03:00+00:00', 'generations', 'viewer-follow-ups:m2', 'viewer-follow-ups',
        '{"media_name": "Media 2"}', '{"app_id": "email-writer"}', 30);
insert into raw_mavera.ledger (entry_id, call_id, event, written_at, state, remote_id, credits, answer) values
    (14, 'c7', 'end', '2026-01-02T10:03:01+00:00', 'done', 'gen1', 12, '{"output": "as answered"}'),
    (16, 'c8', 'end', '2026-01-02T10:03:01+00:00', 'done', 'gen2', 11, '{"output": "as answered"}');
