-- The sandbox's population, from a few traits per person to the records of each vendor. world.py defines these first:
-- population(), seed(), since(), until() (Unix seconds), the shares of odd rows, account_currency(), and rough(): whether this
-- account has the oddities of live ones.
--
-- Every draw is a hash of (its purpose, the person, its number, seed): no order, thread or later date can change it. Times are
-- whole Unix seconds until the last projection.

create macro draw(salt, a, b := 0) as (hash(salt, a, b, seed()) >> 11) / 9007199254740992.0;   -- 0 <= x < 1
create macro up_to(most, salt, a, b := 0) as floor(most * draw(salt, a, b))::bigint;
create macro long_tail(x, mean) as floor(-ln(1 - x) * mean)::integer;
create macro pick(options, salt, a, b := 0) as options[1 + floor(draw(salt, a, b) * len(options))::integer];
create macro digits(salt, a, b) as md5(concat_ws('/', salt, a, b, seed()));
create macro uuid_of(salt, a, b) as
    regexp_replace(digits(salt, a, b), '(.{8})(.{4}).(.{3}).(.{3})(.{12})', '\1-\2-4\3-a\4-\5');
create macro ulid_of(salt, a) as concat('01H', upper(digits(salt, a, 0)[:23]));
create macro short_id_of(salt, a) as
    concat(pick(['R', 'S', 'V', 'X'], salt, a), upper(digits(salt, a, 0)[:5]));
create macro day_of(moment) as moment - moment % 86400;

-- Late rows appear an hour to `days` after the event.
create macro lateness(days, salt, a, b := 0) as
    if(draw(salt, a, b) < late_share(), 3600 + up_to(86400 * days, 'how late', a, b), 0)::bigint;

-- A waiting time with a mean of this many days.
create macro wait(days, salt, a, b) as floor(-86400 * days * ln(1 - draw(salt, a, b)))::bigint;
create macro capital(word) as concat(upper(word[1]), word[2:]);
create macro json_time(second) as strftime(to_timestamp(second), '%Y-%m-%dT%H:%M:%SZ');

-- Money. An account has one currency; a live account sometimes has orders in another, shared by everything in the order. Amounts
-- are drawn in cents; a currency without cents uses the same number as whole units. Sums are made of hundredths, to avoid
-- rounding errors.
create macro has_no_cents(currency) as list_contains(['JPY', 'KRW', 'VND', 'CLP'], currency);
create macro hundredths(cents, currency) as cents * if(has_no_cents(currency), 100, 1);
create macro order_currency(person, deed) as if(
    rough() and draw('another currency', person, deed) < 0.08,
    pick(list_filter(['USD', 'EUR', 'GBP', 'JPY'], lambda other: other <> account_currency()),
        'which currency', person, deed),
    account_currency());

-- An amount in the formats that shops use for text.
create macro spelled(amount, currency, way) as case way
    when 0 then amount
    when 1 then concat(
        case currency when 'EUR' then '€' when 'GBP' then '£' when 'JPY' then '¥' else '$' end,
        translate(amount, ',.', '.,'))
    when 2 then concat(translate(amount, ',.', ' ,'), ' ', currency)
    when 3 then concat(currency, ' ', replace(amount, ',', ''))
    when 4 then replace(amount, ',', chr(39))
    else concat('+', replace(amount, ',', ''))
end;
create macro told_amount(event_hash, hundredths, currency) as case
    when hundredths is null
        then to_json(['NaN', 'n/a', '1e400', '12.34.56', '1,23,4'][1 + (event_hash % 5)::integer])
    when rough() and event_hash % 11 = 0
        then to_json(spelled(format('{:,.2f}', hundredths / 100), currency, event_hash // 11 % 6))
    -- shops send numbers, and sometimes the same as text
    when event_hash % 40 = 0 then to_json((hundredths / 100)::varchar)
    else to_json(hundredths / 100)
end;
-- The amount, and the place of its currency: many events have none and use the account's.
create macro told_money(event_hash, hundredths, currency) as json_merge_patch(
    json_object('$value', told_amount(event_hash, hundredths, currency)),
    case
        when not rough() or event_hash % 100 < 40 then json_object('$value_currency', currency)
        when event_hash % 100 < 65 then json_object('currency_code', lower(currency))
        when event_hash % 100 < 70 or currency <> account_currency() then json_object('value_currency', currency)
        else json_object()
    end);

-- The first population() people exist from the start or join within four months. Later one in a thousand joins per day, so a
-- later date adds people and moves no existing one.
create macro joined_second(person) as floor(case
    when person > population() then
        since() + 86400 * (120 + (person - population() - 1 + draw('joined', person)) * 1000 / population())
    when draw('joined early', person) < 0.6 then since() - 86400 * 300 * draw('joined', person)
    else since() + 86400 * 110 * draw('joined', person)
end)::bigint;

create macro topics() as ['cooking', 'gardening', 'travel', 'fitness', 'music', 'repair'];
create macro profile_id_of(person) as ulid_of('profile', person);
create macro visitor_key_of(visitor) as concat(
    (1700000000 + visitor)::varchar, '_',
    digits('visitor', visitor, 0)[:8], '-', digits('visitor', visitor, 1)[:12]);
create macro viewing_key_of(visitor, session) as concat(
    (1700000000 + visitor)::varchar, '_', digits('viewing', visitor, session)[:16]);

-- The preference for the phone depends on the place; `phone` is that share.
create table places as
select
    (row_number() over ())::integer as place_id,
    * replace (latitude::double as latitude, longitude::double as longitude)
from (values
    ('US', 'California',       'CA', 'Oakland',    'America/Los_Angeles', 37.8044, -122.2712, 0.52, 13),
    ('US', 'New York',         'NY', 'Buffalo',    'America/New_York',    42.8864,  -78.8784, 0.44,  9),
    ('US', 'Texas',            'TX', 'Austin',     'America/Chicago',     30.2672,  -97.7431, 0.48,  8),
    ('US', 'Oregon',           'OR', 'Bend',       'America/Los_Angeles', 44.0582, -121.3153, 0.40,  5),
    ('US', 'Florida',          'FL', 'Tampa',      'America/New_York',    27.9506,  -82.4572, 0.50,  5),
    ('US', 'Illinois',         'IL', 'Peoria',     'America/Chicago',     40.6936,  -89.5890, 0.42,  4),
    ('CA', 'Ontario',          'ON', 'London',     'America/Toronto',     42.9849,  -81.2453, 0.41,  6),
    ('CA', 'British Columbia', 'BC', 'Victoria',   'America/Vancouver',   48.4284, -123.3656, 0.39,  3),
    ('CA', 'Quebec',           'QC', 'Sherbrooke', 'America/Toronto',     45.4042,  -71.8929, 0.37,  3),
    ('GB', 'England',          'ENG', 'Leeds',     'Europe/London',       53.8008,   -1.5491, 0.47, 10),
    ('DE', 'Saxony',           'SN', 'Leipzig',    'Europe/Berlin',       51.3397,   12.3731, 0.31,  8),
    ('FR', 'Occitania',        'OCC', 'Toulouse',  'Europe/Paris',        43.6047,    1.4442, 0.38,  5),
    ('NL', 'Utrecht',          'UT', 'Utrecht',    'Europe/Amsterdam',    52.0907,    5.1214, 0.36,  4),
    ('AU', 'Victoria',         'VIC', 'Geelong',   'Australia/Melbourne', -38.1499, 144.3617, 0.49,  5),
    ('IN', 'Karnataka',        'KA', 'Mysuru',     'Asia/Kolkata',        12.2958,   76.6394, 0.71,  6),
    ('BR', 'Bahia',            'BA', 'Salvador',   'America/Bahia',       -12.9777, -38.5016, 0.66,  4),
    ('JP', 'Kyoto',            '26', 'Kyoto',      'Asia/Tokyo',          35.0116,  135.7681, 0.62,  2)
) as place(country, region, region_code, city, timezone, latitude, longitude, phone, weight);

-- A person ---------------------------------------------------------------------------------------

create table people as
with placed as (
    select
        person::integer as person_id,
        joined_second(person) as joined,
        draw('spending', person) as spending,
        draw('device', person) as device_draw,
        (select list(place_id order by place_id) from places, range(weight))[
            1 + floor(draw('place', person) * 100)::integer] as place_id
    from range(1, 2 + population() + newcomers()) as drawn(person)
    where joined_second(person) < until()
),
equipped as (
    select
        placed.*,
        places.* exclude (place_id, phone, weight),
        -- late hours are more likely on the phone, office hours on the desktop
        case
            when device_draw < phone then 'Phone'
            when device_draw < phone + (1 - phone) * 0.46 then 'Desktop'
            when device_draw < phone + (1 - phone) * 0.82 then 'Webmail'
            when device_draw < phone + (1 - phone) * 0.92 then 'Tablet'
            else 'Other'
        end as device
    from placed inner join places using (place_id)
),
characterised as (
    select
        *,
        round(0.35 * spending + 0.65 * draw('engagement', person_id), 6) as engagement,
        pick(topics(), 'topic', person_id) as topic,
        case when device in ('Phone', 'Tablet')
            then pick([6, 7, 12, 18, 19, 20, 21, 22], 'hour', person_id)
            else pick([8, 9, 10, 11, 13, 14, 15, 16], 'hour', person_id)
        end as active_hour,
        if(draw('channel', person_id) < if(device = 'Phone', 0.35, 0.1), 'sms', 'email') as channel,
        case device
            when 'Phone' then pick(
                ['Apple iPhone', 'Apple iPhone', 'Google Android', 'Google Android', 'Gmail Mobile'],
                'client', person_id)
            when 'Desktop' then pick(['Outlook', 'Apple Mail', 'Outlook', 'Thunderbird'], 'client', person_id)
            when 'Webmail' then pick(['Gmail', 'Gmail', 'Gmail', 'Yahoo', 'Outlook.com'], 'client', person_id)
            when 'Tablet' then pick(['Apple iPad', 'Apple iPad', 'Android Tablet'], 'client', person_id)
            else 'Other'
        end as client,
        case device
            when 'Phone' then pick(['iphone', 'android'], 'platform', person_id)
            when 'Tablet' then pick(['ipad', 'android'], 'platform', person_id)
            else pick(['windows', 'windows', 'windows', 'mac', 'mac', 'linux'], 'platform', person_id)
        end as platform,
        pick(
            ['Gmail', 'Gmail', 'Gmail', 'Microsoft', 'Microsoft', 'Yahoo', 'Apple', 'Other'],
            'provider', person_id) as provider,
        pick(
            ['Ada', 'Bruno', 'Carla', 'Deniz', 'Elif', 'Femi', 'Greta', 'Hugo', 'Ines', 'Jonas', 'Kaya',
             'Lena', 'Mateo', 'Nadia', 'Oskar', 'Priya', 'Rosa', 'Sami', 'Tomas', 'Yuki'],
            'first name', person_id) as first_name,
        pick(
            ['Adler', 'Bakker', 'Costa', 'Dubois', 'Eriksen', 'Fischer', 'Garcia', 'Hughes', 'Ito', 'Jansen',
             'Khan', 'Lopez', 'Meyer', 'Novak', 'Okafor', 'Patel', 'Rossi', 'Silva', 'Tanaka', 'Weber'],
            'last name', person_id) as last_name,
        draw('in wistia', person_id) < 0.7 as in_wistia,
        draw('in klaviyo', person_id) < 0.7 as in_klaviyo
    from equipped
)
select
    person_id,
    lower(concat(first_name, '.', last_name, person_id, '@', case provider
        when 'Gmail' then 'gmail' when 'Microsoft' then 'outlook' when 'Yahoo' then 'yahoo'
        when 'Apple' then 'icloud' else 'post' end, '.example')) as email,
    first_name, last_name,
    -- numbers of the range reserved for fiction
    case
        when draw('has phone', person_id) < 0.5 or channel = 'sms'
            then concat('+1555', lpad(person_id::varchar, 7, '0'))
    end as phone,
    country, region, region_code, city, timezone, latitude, longitude, place_id,
    device, client,
    case
        when platform in ('iphone', 'ipad') then 'Safari'
        when platform = 'mac' then pick(['Safari', 'Chrome', 'Firefox'], 'browser', person_id)
        when platform = 'windows' then pick(['Chrome', 'Edge', 'Chrome', 'Firefox'], 'browser', person_id)
        when platform = 'linux' then 'Firefox'
        else 'Chrome'
    end as browser,
    platform, provider, active_hour, topic, spending, engagement, channel,
    -- everybody is known to at least one of the three
    draw('in sendgrid', person_id) < 0.7 or not (in_wistia or in_klaviyo) as in_sendgrid,
    in_wistia, in_klaviyo,
    joined, to_timestamp(joined) as joined_at
from characterised;

-- SendGrid: a single send a week, receipts and resets in between ------------------------------------

create table single_sends as
with weeks as (
    select
        week::integer as send_no, since() + 86400 * 7 * week + 3600 * 15 as sent,
        pick(topics(), 'send topic', week) as topic
    from range(0, 520) as numbered(week)
),
planned as (
    -- two future sends: one has its date, the next is a draft
    select
        *,
        case
            when sent < until() then 'triggered'
            when sent < until() + 86400 * 7 then 'scheduled'
            else 'draft'
        end as status
    from weeks where sent < until() + 86400 * 14
)
select
    (row_number() over (order by send_no desc) - 1)::integer as position,
    uuid_of('single send', send_no, 0) as single_send_id,
    concat(capital(topic), ' letter ', send_no + 1) as name,
    status,
    [if(send_no % 4 = 3, 'promotion', 'digest'), topic] as categories,
    if(status = 'draft', null, to_timestamp(sent)) as send_at,
    send_no % 5 = 4 as is_abtest,
    case when send_no % 5 = 4 then json_object(
        'type', if(send_no % 2 = 0, 'subject', 'content'), 'winner_criteria', 'open', 'test_percentage', 20,
        'duration', '4h',
        'winning_template_id', if(status = 'triggered', uuid_of('variation', send_no, send_no % 2),
                                  '00000000-0000-0000-0000-000000000000'),
        'winner_selected_at', if(status = 'triggered', json_time(sent + 14400), null),
        'expiration_date', json_time(sent + 86400 * 30)
    )::varchar end as abtest,
    to_timestamp(sent - 86400 * 14 - 60 * (send_no % 50)) as created_at,
    case status
        when 'triggered' then to_timestamp(sent + 31)
        when 'scheduled' then to_timestamp(sent - 86400 * 7)
        else to_timestamp(sent - 86400 * 14)
    end as updated_at,
    send_no, sent, topic
from planned
order by position;

create type happening as enum (
    'request', 'delivered', 'deferred', 'bounce', 'block', 'bounce_drop', 'invalid_email', 'spam_report_drop',
    'unsubscribe_drop', 'open', 'click', 'spam_report', 'unsubscribe');

create table email_happenings as
with messages as (
    select
        single_sends.send_no, people.person_id, people.joined, people.engagement, people.active_hour,
        people.topic = single_sends.topic as is_on_topic,
        -- tests go to a fifth; the winner, chosen by the send's number, goes to the rest
        case when is_abtest then
            if(draw('test group', people.person_id, send_no) < 0.2, 'test', 'send')
        end as ab_phase,
        case
            when ab_phase = 'test' then if(draw('variation', people.person_id, send_no) < 0.5, 0, 1)
            when ab_phase = 'send' then send_no % 2
        end as variation,
        sent + up_to(1200, 'queue', people.person_id, send_no) as requested
    from single_sends inner join people
        on people.in_sendgrid and people.joined < single_sends.sent
        and draw('addressed', people.person_id, send_no) < 0.88
    where status = 'triggered'

    union all

    -- mail of no single send: occasionally, to people who come back
    select
        -1 - fortnight::integer, person_id, joined, engagement, active_hour, true, null, null,
        floor(since() + 86400 * 14 * (fortnight + draw('receipt time', person_id, fortnight)))::bigint
    from people cross join range(0, 1 + (until() - since()) // (86400 * 14)) as fortnights(fortnight)
    where in_sendgrid and draw('receipt', person_id, fortnight) < 0.15 + 0.3 * spending
),
posted as (
    select
        *,
        draw('fate', person_id, send_no) as fate,
        case
            when fate < 0.004 then 'bounce_drop'
            when fate < 0.006 then 'invalid_email'
            when fate < 0.0065 then 'spam_report_drop'
            when fate < 0.009 then 'unsubscribe_drop'
            when fate < 0.021 then 'bounce'
            when fate < 0.025 then 'block'
            else 'delivered'
        end as outcome,
        outcome = 'delivered' and fate < 0.035 as is_deferred,
        requested + 1 + if(is_deferred, 900, 0) + up_to(60, 'delivery', person_id, send_no) as settled
    from messages
    where requested > joined
),
read as (
    select
        *,
        outcome = 'delivered'
            and draw('opens', person_id, send_no)
                -- every second test has a variation with very few opens; in the others both are equally good
                < 0.1 + 0.5 * engagement + if(is_on_topic, 0.15, 0) - if(send_no % 10 = 4 and variation = 1, 0.25, 0)
            as is_opened,
        is_opened
            and draw('clicks', person_id, send_no) < 0.05 + 0.2 * engagement + if(is_on_topic, 0.1, 0)
            as is_clicked,
        if(is_opened, 1 + long_tail(draw('open again', person_id, send_no), 0.9), 0) as open_count,
        if(is_clicked, 1 + long_tail(draw('click again', person_id, send_no), 0.6), 0) as click_count,
        day_of(settled) + 86400 * long_tail(draw('open lag', person_id, send_no), 0.8)
            + 3600 * active_hour + up_to(3600, 'open minute', person_id, send_no) as leisure,
        if(leisure > settled, leisure, settled + 30 + up_to(7200, 'open soon', person_id, send_no)) as opened
    from posted
),
told as (
    select
        send_no, person_id, ab_phase, variation,
        unnest(
            [{'kind': 'request', 'moment': requested}]
            || if(is_deferred, [{'kind': 'deferred', 'moment': requested + 2}], [])
            || [{'kind': outcome,
                 'moment': if(outcome in ('delivered', 'bounce', 'block'), settled, requested)}]
            || list_transform(range(open_count), lambda k: {
                'kind': 'open',
                'moment': opened + if(k = 0, 0, k * 600 + wait(1, 'reopened', person_id, send_no * 100 + k))})
            || list_transform(range(click_count), lambda k: {
                'kind': 'click', 'moment': opened + 20 + k * 3000})
            || if(is_opened and draw('unsubscribes', person_id, send_no) < 0.003,
                  [{'kind': 'unsubscribe', 'moment': opened + 90}], [])
            || if(is_opened and draw('reports spam', person_id, send_no) < 0.001,
                  [{'kind': 'spam_report', 'moment': opened + 95}], [])
        ) as happened
    from read
)
select
    send_no, person_id, ab_phase, variation::tinyint as variation,
    happened.kind::happening as kind, happened.moment as happened
from told
-- plays on a train are reported late
where happened.moment
    + if(kind in ('open', 'click'), lateness(2.9, 'late reader', person_id, send_no), 0) < until();

create view email_activity as
select
    send_no * 4294967296 + person_id as message_id,
    if(send_no < 0, null, uuid_of('single send', send_no, 0)) as single_send_id,
    if(variation is null, null, uuid_of('variation', send_no, variation)) as ab_variation,
    ab_phase, person_id, kind::varchar as kind, to_timestamp(happened) as happened_at, send_no,
    -- which of the links in the mail was clicked, from the top
    if(kind = 'click', up_to(3, 'link', person_id, happened), null) as link_position
from email_happenings;

-- The difference between the variations of a test: one subject or one text of two. The plain text belongs to no. 1.
create table single_send_variations as
with tested as (
    select *, abtest::json ->> '$.type' as tests
    from single_sends cross join range(0, 2) as variations(variation)
    where is_abtest
)
select
    single_send_id, uuid_of('variation', send_no, variation) as variation_id,
    if(tests = 'subject' and variation = 1,
       concat('Our letter no. ', send_no + 1), concat('Five ideas for ', topic)) as subject,
    if(tests = 'content' and variation = 1,
       concat('Dear reader, this is our letter on ', topic, '. As always, much has happened here.'),
       concat('Five ideas for ', topic, ', each read in a minute. The first: start small.')) as plain_content,
    variation
from tested
order by position, variation;

-- Automations: half of the mail of no single send, each with one of three steps.
create view automation_activity as
with drawn as (
    select *, up_to(6, 'automation', person_id, send_no) as automation_no from email_happenings where send_no < 0
)
select
    uuid_of('automation', automation_no, 0) as automation_id,
    uuid_of('automation step', automation_no, up_to(3, 'automation step', person_id, send_no)) as step_id,
    send_no * 4294967296 + person_id as message_id, person_id,
    kind::varchar as kind, to_timestamp(happened) as happened_at
from drawn where automation_no < 3;

-- Suppressions: people on each list, since the first time.
create table sendgrid_unsubscribe_groups as
select group_no as position, (24101 + 7 * group_no)::integer as group_id, name, description, group_no = 0 as is_default
from (values
    (0, 'Letters', 'Our weekly letter'), (1, 'Offers', 'Promotions'), (2, 'Product news', 'What is new')
) as groups(group_no, name, description)
order by position;

create table sendgrid_suppressions as
with listed as (
    select
        person_id, min(happened) as listed,
        case
            when kind = 'unsubscribe' and draw('leaves a group only', person_id) < 0.4 then 'group_unsubscribe'
            else kind::varchar
        end as kind
    from email_happenings
    where kind in ('bounce', 'block', 'spam_report', 'invalid_email', 'unsubscribe')
    group by all
)
select
    kind, (row_number() over (partition by kind order by listed desc, person_id) - 1)::integer as position,
    person_id, email,
    case kind
        -- servers often quote the address
        when 'bounce' then concat('550 5.1.1 <', email, '>: Recipient address rejected: User unknown')
        when 'block' then '421 4.7.0 Try again later'
        when 'invalid_email' then 'Mail domain mentioned in email address is unknown'
    end as reason,
    case kind
        when 'bounce' then if(draw('says its status', person_id) < 0.9, '5.1.1', '')
        when 'block' then '4.7.0'
    end as status,
    if(kind = 'group_unsubscribe', 24101 + 7 * up_to(3, 'leaves group', person_id), null)::integer as group_id,
    listed, to_timestamp(listed) as listed_at
from listed inner join people using (person_id)
order by kind, position;

-- Contacts: their answers in the account's custom fields, and their groups.
create table sendgrid_lists as
select
    list_no as position, uuid_of('list', list_no, 0) as list_id, name, list_no
from (values (0, 'Newsletter'), (1, 'Webinar guests'), (2, 'Trade fair')) as list(list_no, name)
order by position;

create table sendgrid_segments as
select
    segment_no as position, uuid_of('contact segment', segment_no, 0) as segment_id, name,
    if(segment_no = 0, null, [uuid_of('list', 0, 0)]) as parent_list_ids,
    to_timestamp(since() - 86400 * (200 - 30 * segment_no)) as created_at,
    to_timestamp(since() - 86400 * (20 - segment_no)) as updated_at,
    segment_no
from (values (0, 'Marketing people'), (1, 'Founders in retail')) as segment(segment_no, name)
order by position;

create table sendgrid_contacts as
with stated as (
    select
        *,
        case when draw('states role', person_id) < 0.92 then
            if(device in ('Phone', 'Tablet'),
               pick(['Sales', 'Sales', 'Sales', 'Marketing', 'Marketing', 'Operations', 'Founder'],
                    'role', person_id),
               pick(['Engineering', 'Engineering', 'Engineering', 'Marketing', 'Operations', 'Founder'],
                    'role', person_id))
        end as role,
        case when draw('states industry', person_id) < 0.9 then pick(
            ['Retail', 'Retail', 'Retail', 'Software', 'Software', 'Software', 'Health, care', 'Health, care',
             'Education', 'Crafts'],
            'industry', person_id)
        end as industry,
        joined + wait(40, 'contact edited', person_id, 0) as edited
    from people where in_sendgrid
)
select
    (row_number() over (order by joined desc, person_id) - 1)::integer as position,
    uuid_of('contact', person_id, 0) as contact_id, person_id,
    email, first_name, last_name, city, region, country,
    -- people spell a field in different ways
    if(draw('types role', person_id) < 0.1, lower(role), role) as role,
    if(draw('types industry', person_id) < 0.1, upper(industry) || ' ', industry) as industry,
    pick(['pop-up', 'checkout', 'fair'], 'signup source', person_id) as signup_source,
    list_filter(
        [uuid_of('list', 0, 0), if(in_wistia, uuid_of('list', 1, 0), null),
         if(draw('met at fair', person_id) < 0.2, uuid_of('list', 2, 0), null)],
        lambda list: list is not null) as list_ids,
    list_filter(
        [if(role = 'Marketing', uuid_of('contact segment', 0, 0), null),
         if(role = 'Founder' and industry = 'Retail', uuid_of('contact segment', 1, 0), null)],
        lambda segment: segment is not null) as segment_ids,
    to_timestamp(joined) as created_at,
    to_timestamp(if(edited < until(), edited, joined)) as updated_at
from stated
order by position;

-- Wistia: browsers that played a video, identified or not -------------------------------------------

create macro platform_as_served(platform) as case platform
    when 'iphone' then 'iOS (iPhone)' when 'ipad' then 'iOS (iPad)' when 'android' then 'Android'
    when 'windows' then 'Windows' when 'mac' then 'Mac' else 'Linux' end;
create macro is_unknown_browser(visitor) as rough() and draw('unknown browser', visitor) < 0.02;
create macro browser_as_served(browser, visitor) as if(is_unknown_browser(visitor), 'Unknown Browser', browser);
create macro version_as_served(version, visitor) as if(is_unknown_browser(visitor), '0', version);

create table medias as
select
    case when media_no < 24 then media_no end as position,
    900100 + media_no * 37 as media_id,
    concat(pick(['q', 'x', 'k', 'b'], 'media', media_no), digits('media', media_no, 0)[:9]) as hashed_id,
    case when media_no = 23 then 'Podcast: a year in the workshop'
        when media_no = 24 then 'Spring preview (withdrawn)'
        else concat(
            capital(topics()[1 + media_no // 4]), ': ',
            ['first steps', 'the tools', 'in depth', 'questions answered'][1 + media_no % 4])
    end as name,
    if(media_no = 23, 'Audio', 'Video') as type,
    round([75, 180, 1300, 620][1 + media_no % 4] * (0.7 + 0.6 * draw('length', media_no)), 2)
        as duration_seconds,
    (70001 + if(media_no = 24, 5, media_no // 4))::bigint as project_id,
    concat('p', digits('project', if(media_no = 24, 5, media_no // 4), 0)[:9]) as project_hashed_id,
    capital(topics()[1 + least(5, media_no // 4)]) as project_name,
    topics()[1 + least(5, media_no // 4)] as topic,
    media_no = 24 as is_deleted,
    -- the position in a media that drives viewers away
    case media_no when 1 then 0.34 when 6 then 0.42 when 13 then 0.5 when 18 then 0.31 end::double
        as tedious_share,
    to_timestamp(since() - 86400 * (400 - 10 * media_no)) as created_at,
    to_timestamp(since() - 86400 * (90 - media_no)) as updated_at,
    -- in a rough account, some lack a name, a length or a project
    if(rough() and media_no in (5, 14), '', name) as name_as_served,
    case when rough() and media_no = 9 then 0 when rough() and media_no = 17 then null else duration_seconds end
        as duration_as_served,
    not (rough() and media_no = 21) as has_project,
    media_no::integer as media_no
from range(0, 25) as numbered(media_no)
order by media_no;

-- slot 0 is a person's browser, 1 a second one, 2 a stranger's (and nobody's second)
create table browsers as
with slots as (
    select person.person_id, slot::integer as slot, person.* exclude (person_id),
        (person.person_id * 3 + slot)::integer as visitor_no
    from people as person cross join range(0, 3) as slots(slot)
    where slot = 2 and draw('stranger', person.person_id) < 0.65
        or slot = 0 and in_wistia
        or slot = 1 and in_wistia and draw('second browser', person.person_id) < 0.2
),
styled as (
    select
        *,
        greatest(joined, since()) + up_to(86400 * 60, 'first view', visitor_no) as first_seen,
        draw('style', visitor_no) - 0.06 * engagement as style,
        case
            when slot = 2 and draw('only loads', visitor_no) < 0.08 then 'none'
            when style < 0.015 then 'binge'
            when style < 0.22 then 'explore'
            when style < 0.48 then 'skim'
            when style < 0.76 then 'bounce'
            else 'casual'
        end as habit
    from slots
)
select
    visitor_no,
    if(slot = 2, null, person_id) as person_id,
    place_id, topic, habit, first_seen, active_hour,
    case habit
        when 'binge' then 5 + floor(6 * draw('medias', visitor_no))
        when 'explore' then 3 + floor(4 * draw('medias', visitor_no))
        when 'skim' then 2 + floor(5 * draw('medias', visitor_no))
        when 'bounce' then 1
        when 'casual' then 1 + floor(2 * draw('medias', visitor_no))
        else 0
    end::integer as media_count,
    -- some watch a media again, which adds a session and no media
    case
        when habit = 'none' then 0
        else media_count + long_tail(draw('again', visitor_no), if(habit = 'bounce', 0.3, 3.5))
    end as session_count,
    1 + 9 * draw('pace', visitor_no) as days_between,
    slot < 2 and draw('identified', visitor_no) < if(slot = 0, 0.62, 0.4) as is_identified,
    is_identified and draw('gate', visitor_no) < 0.6 as passed_gate,
    if(slot = 1, if(platform in ('iphone', 'android', 'ipad'), 'Chrome', 'Safari'), browser) as browser,
    (118 + floor(25 * draw('version', visitor_no)))::integer::varchar as browser_version,
    if(slot = 1, if(platform in ('iphone', 'android', 'ipad'), 'windows', 'iphone'), platform) as platform,
    if(is_identified, email, null) as email,
    if(is_identified and draw('named', visitor_no) < 0.7, concat(first_name, ' ', last_name), null) as name
from styled
where first_seen < until();

create table sessions as
with planned as (
    select
        *,
        if(draw('on topic', visitor_no) < 0.7, topic, pick(topics(), 'other topic', visitor_no))
            as watched_topic,
        if(session < media_count, session,
           floor(media_count * draw('repeats', visitor_no, session)))::integer as media_turn,
        -- a topic's medias are adjacent; a step without a common factor with 25 visits each media once
        (4 * (list_position(topics(), watched_topic) - 1) + pick(range(4), 'starts', visitor_no)
            + pick([1, 1, 3, 7], 'step', visitor_no) * media_turn) % 25 as media_no,
        days_between * (session + 0.8 * draw('gap', visitor_no, session)) as days_later,
        case
            when session = 0 then first_seen
            else greatest(
                first_seen + 3600 * session,
                day_of(first_seen + floor(86400 * days_later)::bigint) + 3600 * active_hour
                    + up_to(7000, 'minute', visitor_no, session))
        end as received,
        draw('watched', visitor_no, session) as watched,
        case habit
            when 'binge' then 0.77 + 0.23 * watched
            when 'explore' then 0.48 + 0.3 * watched
            when 'skim' then 0.05 + 0.42 * watched
            when 'bounce' then 0.28 * watched
            else 0.32 + 0.66 * watched
        end as share
    from (select *, unnest(range(session_count)) as session from browsers)
),
dated as (
    select
        planned.* exclude (share),
        received + lateness(1.9, 'late viewing', visitor_no, session) as visible,
        -- of the viewers who reach the tedious place, four in ten leave within two seconds
        if(share > tedious_share and habit <> 'binge' and draw('bored', visitor_no, session) < 0.4,
           tedious_share + 2 * draw('how soon', visitor_no, session) / duration_seconds, share) as share
    from planned inner join medias using (media_no)
)
select
    (row_number() over (order by received desc, visitor_no, session) - 1)::integer as position,
    visitor_no, session::smallint as session, media_no::tinyint as media_no, place_id::tinyint as place_id,
    received, visible,
    -- a rough account serves slightly more than 1 for the end, and sometimes impossible values
    case
        when rough() and draw('more than whole', visitor_no, session) < 0.066 then 1
        when rough() and draw('more than whole', visitor_no, session) < 0.071 then null
        else round(share, 4)
    end::double as percent_viewed,
    (1 + long_tail(draw('loads', visitor_no, session), 1.1))::tinyint as loads,
    email, browser, browser_version, platform,
    case
        when passed_gate and session = 0 then 'turnstile'
        when draw('acts', visitor_no, session) < 0.04 and share > 0.3 then 'call to action'
        else ''
    end as conversion_type
from dated
where visible < until()
order by position;

create view viewing_sessions as
select
    sessions.position,
    viewing_key_of(visitor_no, session) as event_key,
    visitor_key_of(visitor_no) as visitor_key,
    medias.hashed_id, medias.name_as_served as media_name,
    to_timestamp(received) as received_at,
    to_timestamp(visible) as visible_at,
    percent_viewed,
    case
        when rough() and draw('more than whole', visitor_no, session) < 0.066
            then pick(['1.01', '1.02', '1.01'], 'how much more', visitor_no, session)
        when percent_viewed is null then pick(['-0.01', '"NaN"', '101'], 'no share', visitor_no, session)
        else percent_viewed::varchar
    end::json as percent_as_served,
    sessions.email, country, region, city, latitude, longitude,
    pick(
        ['Northern Broadband', 'Citylink', 'Harbour Telecom', 'University Network'],
        'org', visitor_no) as org,
    concat(
        'https://shop.example/', pick(['learn/', 'blog/', 'product/'], 'page', visitor_no, session),
        medias.hashed_id) as embed_url,
    conversion_type,
    case
        when conversion_type = 'turnstile'
            then json_object(
                'email', sessions.email, 'first_name', null, 'last_name', null, 'is_new_lead', true)
        else '{}'::json
    end::varchar as conversion_data,
    browser_as_served(browser, visitor_no) as browser, version_as_served(browser_version, visitor_no) as browser_version,
    platform_as_served(sessions.platform) as platform,
    sessions.platform in ('iphone', 'ipad', 'android') as mobile,
    loads as load_count,
    sessions.visitor_no, media_no
from sessions inner join medias using (media_no) inner join places using (place_id);

create table visitor_totals as
with played as (
    select
        visitor_no, count(*) as play_count, sum(loads) as load_count,
        min(received) as first_played, max(received) as last_played,
        arg_max(session, received * 1000 + session) as last_session, bool_or(session = 0) as has_first
    from sessions group by visitor_no
)
select
    coalesce(last_played, first_seen) as last_active,
    (row_number() over (order by last_active desc, visitor_no) - 1)::integer as position,
    visitor_no, person_id, name, email,
    -- the feed has two spellings of an unknown address
    if(email is null and draw('blank', visitor_no) < 0.08, '', email) as email_as_served,
    least(first_seen, first_played) as created,
    last_session,
    coalesce(load_count, 1)::bigint as load_count, coalesce(play_count, 0)::bigint as play_count,
    passed_gate and has_first as passed_gate, browser, browser_version, platform
from browsers left join played using (visitor_no)
where play_count > 0 or habit = 'none'
order by position;

create view visitors as
select
    position, visitor_key_of(visitor_no) as visitor_key, person_id, name, email_as_served as email,
    to_timestamp(created) as created_at, to_timestamp(last_active) as last_active_at,
    if(last_session is null, '', viewing_key_of(visitor_no, last_session)) as last_event_key,
    if(passed_gate, viewing_key_of(visitor_no, 0), null) as identifying_event_key,
    load_count, play_count,
    browser_as_served(browser, visitor_no) as browser, version_as_served(browser_version, visitor_no) as browser_version,
    platform_as_served(visitor_totals.platform) as platform,
    visitor_totals.platform in ('iphone', 'ipad', 'android') as mobile, visitor_no
from visitor_totals;

-- Klaviyo's copy of the shop's catalog: it differs slightly from the products sold --------------------

-- Thing 39 is sold but was never listed, things 5 and 38 are sold but taken down, thing 40 is listed and not sold yet.
create table klaviyo_catalog_items as
with things as (
    select
        thing_no::integer as thing_no,
        concat('P', 100 + thing_no) as external_id,
        -- things bought together are in one category; some are presents as well, two are in none
        case when thing_no not in (30, 31) then [topics()[1 + (thing_no // 2) % 6]] else [] end
            || case when draw('present', thing_no) < 0.2 then ['presents'] else [] end as shelves,
        up_to(8000, 'list price', thing_no) + 1900 as cents
    from range(0, 41) as listed(thing_no)
    where thing_no <> 39
)
select
    (row_number() over (order by thing_no) - 1)::integer as position,
    concat('$custom:::$default:::', external_id) as catalog_item_id,
    external_id,
    concat('Thing no. ', thing_no) as title,
    if(thing_no % 3 = 0, null, concat('What one needs for ', coalesce(shelves[1], 'everything'), '.')) as description,
    -- the listed price; an order has the price paid. One thing has a price only on its variants.
    if(thing_no = 20, null, hundredths(cents, account_currency()) / 100)::double as price,
    concat('https://shop.example/product/', thing_no) as url,
    thing_no not in (5, 38) as published,
    to_timestamp(since() - 86400 * (500 - 10 * thing_no)) as created,
    to_timestamp(since() - 86400 * 10) as updated,
    list_transform(shelves, lambda shelf: concat('$custom:::$default:::', shelf)) as category_ids,
    cents, thing_no
from things
order by position;

create table klaviyo_catalog_variants as
select
    (row_number() over (order by thing_no, variant_no) - 1)::integer as position,
    concat(catalog_item_id, '-', variant_no) as catalog_variant_id,
    catalog_item_id,
    concat(external_id, '-', variant_no) as external_id,
    concat(title, ', ', ['small', 'medium', 'large'][variant_no]) as title,
    concat('T', thing_no, '-', variant_no) as sku,
    1 as inventory_policy,
    up_to(200, 'stock', thing_no, variant_no)::double as inventory_quantity,
    -- the first costs the thing's price, every further one a tenth more
    (hundredths(round(cents * (0.9 + 0.1 * variant_no)), account_currency()) / 100)::double as price,
    url, published, created, updated, thing_no
from klaviyo_catalog_items, range(1, 2 + up_to(3, 'variants', thing_no)) as variant(variant_no)
order by position;

create table klaviyo_catalog_categories as
select
    (row_number() over (order by name) - 1)::integer as position,
    concat('$custom:::$default:::', name) as catalog_category_id,
    name as external_id, capital(name) as name,
    to_timestamp(since() - 86400 * 500) as created, to_timestamp(since() - 86400 * 400) as updated,
    (
        select coalesce(list(catalog_item_id order by position), [])
        from klaviyo_catalog_items as item
        where list_contains(item.category_ids, concat('$custom:::$default:::', shelf.name))
    ) as item_ids
from (select unnest(topics() || ['presents', 'clearance']) as name) as shelf  -- the last one is empty
order by position;

-- Klaviyo: profiles, their events, predictions and groups ----------------------------------------------

create table klaviyo_metrics as
select
    (row_number() over (order by metric_no) - 1)::integer as position,
    short_id_of('metric', metric_no) as metric_id,
    name, integration_name, integration_category,
    to_timestamp(since() - 86400 * 700) as created, to_timestamp(since() - 86400 * 30) as updated,
    metric_no
from (values
    (0, 'Received Email', 'Klaviyo', 'Internal'), (1, 'Opened Email', 'Klaviyo', 'Internal'),
    (2, 'Clicked Email', 'Klaviyo', 'Internal'), (3, 'Bounced Email', 'Klaviyo', 'Internal'),
    (4, 'Received SMS', 'Klaviyo', 'Internal'), (5, 'Clicked SMS', 'Klaviyo', 'Internal'),
    (6, 'Placed Order', 'Shopify', 'eCommerce'), (7, 'Ordered Product', 'Shopify', 'eCommerce'),
    (8, 'Viewed Product', 'API', 'API'), (9, 'Active on Site', 'API', 'API'),
    (10, if(rough(), 'Canceled Order', 'Cancelled Order'), 'Shopify', 'eCommerce'),
    (11, 'Refunded Order', 'Shopify', 'eCommerce'),
    (14, 'Received Text Message', 'Klaviyo', 'Internal'), (15, 'Clicked Text Message', 'Klaviyo', 'Internal'),
    (16, 'Opened Text Message', 'Klaviyo', 'Internal'),
    -- another integration that reports some of the same orders, under the same name
    (17, 'Placed Order', 'WooCommerce', 'eCommerce')
) as metric(metric_no, name, integration_name, integration_category)
where metric_no < 17 or rough()
order by position;

-- The metrics of texts were renamed from 2026-07-01 on, account by account: in this one, two months into its record. Older events
-- keep the old metrics, and only newer texts report opens.
create macro texts_renamed() as greatest(1782864000, since() + 86400 * 60);
create macro as_named(metric_no, occurred) as
    metric_no + if(metric_no in (4, 5) and occurred >= texts_renamed(), 10, 0);
create macro tells_opening(person, received) as
    received >= texts_renamed() and draw('text tells opening', person, received) < 0.25;

-- The account's own metrics for shop events, by Klaviyo's name of the role.
create table klaviyo_mapped_metrics as
select
    (row_number() over (order by mapped_metric_id) - 1)::integer as position,
    mapped_metric_id, klaviyo_metrics.metric_id,
    to_timestamp(since() - 86400 * 200) as updated
from (values
    ('cancelled_sales', 10), ('ordered_product', 7), ('refunded_sales', 11), ('revenue', 6), ('viewed_product', 8)
) as mapped(mapped_metric_id, metric_no)
inner join klaviyo_metrics using (metric_no)
order by position;

-- Klaviyo's flows: an event that starts one brings its messages, two days apart. They went live on day 75.

create table klaviyo_flows as
select
    flow_no::integer as position,
    short_id_of('flow', flow_no) as flow_id,
    name, status, archived, trigger_type,
    to_timestamp(since() + 86400 * (40 + flow_no)) as created,
    to_timestamp(since() + 86400 * 74) as updated,
    trigger_metric_no, starts, flow_no
from (values
    -- starts: the share of people who start it in four weeks
    (0, 'Browse reminder', 'live', false, 'Metric', 8, 0.46), (1, 'Forgotten basket', 'live', false, 'Metric', 9, 0.44),
    (2, 'Thank you', 'live', false, 'Metric', 6, 0.45), (3, 'Back again', 'live', false, 'Metric', 6, 0.10),
    (4, 'Welcome', 'live', false, 'Added to List', null, 0.06), (5, 'Birthday', 'live', false, 'Date Based', null, 0.05),
    (6, 'Price alert', 'manual', false, 'Price Drop', null, 0), (7, 'Time to reorder', 'draft', false, 'Metric', 7, 0),
    (8, 'Welcome of last year', 'draft', true, 'Added to List', null, 0)
) as flow(flow_no, name, status, archived, trigger_type, trigger_metric_no, starts)
order by position;

create table klaviyo_flow_messages as
select
    message_no::integer as position,
    short_id_of('flow message', message_no) as flow_message_id,
    flow_id, (41000000 + 2 * message_no)::varchar as flow_action_id,
    message.channel, message.name, subject,
    created, updated + to_seconds(60 * message_no) as updated,
    step, stays, lure, pull, starts, flow_no, message_no
from (values
    -- stays: the share still in the flow. lure and pull: more or fewer of them open, and of the openers click.
    (0, 0, 0, 'email', 'Browse reminder, first', 'Still looking?', 1, 0, 0),
    (1, 0, 1, 'email', 'Browse reminder, second', 'RE: your recent activity', 0.95, -0.2, 0),
    (2, 1, 0, 'email', 'Basket, first', 'You left something behind', 1, 0.04, 0.03),
    (3, 1, 1, 'sms', 'Basket, by text', 'Your basket waits for you', 0.9, 0, 0),
    (4, 2, 0, 'email', 'Thank you', 'Thank you for your order', 1, 0.03, 0.02),
    (5, 2, 1, 'email', 'Asking for a review', 'How was it?', 0.95, 0.02, -0.14),
    (6, 3, 0, 'email', 'Back again', 'It has been a while', 1, 0, 0),
    (7, 4, 0, 'email', 'Welcome', 'Good to have you here', 1, 0.15, 0.05),
    (8, 5, 0, 'email', 'Birthday', 'Many happy returns', 1, 0.1, 0),
    (9, 6, 0, 'email', 'Price alert', 'Now for less', 1, 0, 0),
    (10, 7, 0, 'email', 'Time to reorder', 'Running low?', 1, 0, 0),
    (11, 8, 0, 'email', 'Welcome of last year', 'Hello', 1, 0, 0)
) as message(message_no, flow_no, step, channel, name, subject, stays, lure, pull)
inner join klaviyo_flows using (flow_no)
order by position;

-- The template of each e-mail of a flow, as the editors write them: a custom template with a text of its own, and one of the
-- drag-and-drop editor, which is all tables, styles and tracked links.
create table klaviyo_templates as
select
    position,
    short_id_of('template', message_no) as template_id,
    flow_message_id,
    name,
    if(message_no % 3 = 2, 'CODE', 'SYSTEM_DRAGGABLE') as editor_type,
    if(message_no % 3 = 2,
        concat('<p>Hello {{ person.first_name|default:''there'' }},</p><p>', opening, '</p><p><a href="', link, '">', button,
            '</a></p><p>Your friends at {{ organization.name }}</p><p>{% unsubscribe %}</p>'),
        concat('<!DOCTYPE html><html><head><title>', name, '</title><style>.kl-text td { padding: 9px 18px; }</style></head>',
            '<body><div style="display:none">', subject, '</div><table class="kl-section"><tr><td><img src="',
            'https://shop.example/images/header.png" alt="Sandbox"></td></tr><tr><td class="kl-text"><div><h2>', subject,
            '</h2><p>Hi {{ first_name|default:&quot;there&quot; }},</p><p>', opening, '</p>{% if event.URL %}<p>You looked at ',
            '<strong>{{ event.ProductName }}</strong>.</p>{% endif %}</div></td></tr><tr><td align="center"><a href="', link,
            '" style="background:#000">', button, '</a></td></tr><tr><td>Questions? Write to <a href="mailto:help@shop.example">',
            'help@shop.example</a>.<br>{{ organization.full_address }}<br>{% unsubscribe ''No more of these e-mails'' %}',
            '</td></tr></table></body></html>')) as html,
    if(message_no % 3 = 2, concat('Hello, ', opening, ' ', button, ': ', link), null) as text,
    created, updated
from (
    select
        *,
        case flow_no
            when 0 then 'You were looking around our shop the other day. We noticed, and we wanted to remind you that our shop is open.'
            when 1 then 'There are still things in your basket. They cannot be reserved for ever.'
            when 2 then 'Thank you for choosing us. We hope that everything was to your satisfaction and would be glad about feedback.'
            else 'We have news for you. Have a look.'
        end as opening,
        case flow_no
            when 0 then 'https://shop.example/?utm_source=klaviyo&utm_campaign=browse'
            when 1 then '{{ event.extra.checkout_url }}'
            when 2 then 'https://shop.example/reviews?utm_source=klaviyo'
            else 'https://shop.example/news?utm_source=klaviyo'
        end as link,
        case flow_no when 0 then 'To the shop' when 1 then 'To your basket' when 2 then 'Click here' else 'More' end as button
    from klaviyo_flow_messages
    where channel = 'email'
)
order by position;

create table klaviyo_flow_actions as
with steps as (
    select
        flow_action_id, flow_id, concat('send-', channel) as action_type, 2 * message_no as action_no,
        json_object(
            'status', 'live',
            'message', if(channel = 'email',
                json_object('id', flow_message_id, 'name', name, 'subject_line', subject),
                json_object('body', subject))
        ) as data,
        created, updated
    from klaviyo_flow_messages

    union all

    select
        (41000000 + 2 * message_no - 1)::varchar, flow_id, 'time-delay', 2 * message_no - 1,
        json_object('unit', 'days', 'value', 2), created, updated
    from klaviyo_flow_messages where step > 0
)
select
    (row_number() over (order by action_no) - 1)::integer as position,
    flow_action_id, flow_id, action_type, klaviyo_flows.status,
    json_object(
        'id', flow_action_id, 'type', action_type, 'data', data,
        'links', json_object('next', lead(flow_action_id) over (partition by flow_id order by action_no))
    )::varchar as definition,
    steps.created, steps.updated
from steps inner join klaviyo_flows using (flow_id)
order by position;

create table klaviyo_flow_deeds as
with sends as (
    select
        person_id, message_no, klaviyo_flow_messages.channel, engagement, joined,
        (message_no * 1000 + block)::integer as send_no,
        lure, pull,
        since() + 86400 * (75 + 28 * block + up_to(28, 'flow day', person_id, flow_no * 1000 + block) + 2 * step)
            + 3600 * active_hour + up_to(3600, 'flow minute', person_id, send_no) as received
    from people
    cross join klaviyo_flow_messages
    cross join range(0, 1 + (until() - since()) // (86400 * 28)) as blocks(block)
    where in_klaviyo
        and (klaviyo_flow_messages.channel = 'email' or people.channel = 'sms')
        and draw('starts a flow', person_id, flow_no * 1000 + block) < starts
        and draw('stays in a flow', person_id, send_no) < stays
),
read as (
    select
        *,
        channel = 'email' and draw('opens of a flow', person_id, send_no) < 0.12 + 0.5 * engagement + lure
            as is_opened,
        if(channel = 'email',
            is_opened and draw('clicks of a flow', person_id, send_no) < 0.06 + 0.24 * engagement + pull,
            draw('clicks of a flow', person_id, send_no) < 0.02 + 0.12 * engagement
        ) as is_clicked,
        if(is_opened, 1 + long_tail(draw('opens a flow again', person_id, send_no), 0.4), 0) as open_count,
        received + 60 + wait(0.4, 'flow open lag', person_id, send_no) as opened
    from sends
    where received > joined
),
told as (
    select
        person_id, message_no, send_no, received as sent,
        unnest(
            [{'metric_no': if(channel = 'email', 0, 4), 'moment': received, 'nth': 0}]
            || list_transform(range(open_count), lambda k: {
                'metric_no': 1,
                'moment': opened + k * (600 + up_to(86400, 'flow reopened', person_id, send_no * 100 + k)),
                'nth': 1 + k})
            || if(is_clicked, [{
                'metric_no': if(channel = 'email', 2, 5),
                'moment': opened + 20 + up_to(600, 'flow click', person_id, send_no), 'nth': 99}], [])
            || if(channel = 'sms' and tells_opening(person_id, received), [{
                'metric_no': 16, 'moment': received + 30 + wait(0.2, 'text opened', person_id, received), 'nth': 98}],
                []),
            recursive := true)
    from read
)
select
    hash('flow event', person_id, send_no, nth, seed()) as event_hash,
    person_id, metric_no::tinyint as metric_no,
    moment + lateness(3.9, 'late flow deed', person_id, send_no * 100 + nth) as visible,
    moment as occurred, message_no, sent
from told;

create macro line_cents(person, deed, line, spending) as
    round(500 + (1200 + 9000 * spending * spending) * -ln(1 - draw('price', person, deed * 8 + line)));

create macro things(person, deed) as 1 + up_to(3, 'things', person, deed);
-- 40 things; buyers of one of the first eight often add its counterpart: 0 and 1, 2 and 3, and so on
create macro first_thing(person, deed, line) as floor(40 * draw('product', person, deed * 8 + line))::smallint;
create macro thing(person, deed, line) as if(
    line > 1 and first_thing(person, deed, 1) < 8 and draw('takes along', person, deed * 8 + line) < 0.5,
    xor(first_thing(person, deed, 1), 1::smallint),
    first_thing(person, deed, line));
create macro crowded_second() as since() + 86400 * 100 + 43200;

-- A shop's order number, which lines, refunds and cancellations repeat, whoever the person is merged into.
create macro order_no_of(person, deed) as
    (4500000000000 + hash('klaviyo event', person, deed, 0::bigint, seed()) % 1000000000000)::varchar;

create table klaviyo_deeds as
with blocks as (
    select
        person_id, joined, spending, engagement, channel, active_hour, block::integer as block,
        unnest(range(floor(draw('busy', person_id, block) * (2.6 + 6 * engagement))::integer)) as slot
    from people cross join range(0, 1 + (until() - since()) // (86400 * 28)) as blocks(block)
    where in_klaviyo
),
deeds as (
    select
        person_id, joined, spending, (block * 16 + slot)::integer as deed_no,
        draw('deed', person_id, deed_no) as deed,
        if(spending < 0.25, 0, 0.05 + 0.3 * spending) as orders,
        case
            when deed < orders then 6
            when deed < orders + 0.3 then if(channel = 'sms', 4, 0)
            when deed < orders + 0.45 and channel = 'email' then 1
            when deed < orders + 0.5 then if(channel = 'sms', 5, 2)
            when deed < orders + 0.51 then 3
            when deed < 0.9 then 8
            else 9
        end as metric_no,
        since() + 86400 * (28 * block + up_to(28, 'deed day', person_id, deed_no)) + 3600 * active_hour
            + up_to(3600, 'deed minute', person_id, deed_no) as occurred
    from blocks
),
lines as (
    -- an order is one event, plus one for each thing in it, in the same second
    select *, unnest(range(if(metric_no = 6, 1 + things(person_id, deed_no), 1))) as line from deeds

    union all

    -- some orders are cancelled within a day, or refunded in whole or in part within weeks
    select
        person_id, joined, spending, deed_no, deed, orders, metric_no,
        occurred + 600 + case metric_no
            when 10 then up_to(86400, 'cancelled after', person_id, deed_no)
            when 11 then wait(6, 'refunded after', person_id, deed_no)
            else 0
        end,
        -metric_no
    from (
        select
            * exclude (metric_no),
            unnest(list_filter([10, 11, 17], lambda what: case what
                when 10 then draw('cancelled', person_id, deed_no) < 0.02
                when 11 then draw('refunded', person_id, deed_no) < 0.07
                -- the other integration's copy
                else rough() and draw('told twice', person_id, deed_no) < 0.05
            end)) as metric_no
        from deeds where metric_no = 6
    )

    union all

    -- a mass send: more rows than a page, all in one second
    select person_id, joined, spending, (-1000 - copy)::integer, 0, 0, 0, crowded_second(), 0
    from (
        select *, row_number() over (order by person_id) - 1 as nth, count(*) over () as addressed
        from people where in_klaviyo and person_id <= population() and joined < crowded_second()
    )
    inner join range(0, crowd_size()) as copies(copy) on nth = copy % addressed

    union all

    -- clocks that run ahead, by up to a year
    select
        person_id, joined, spending, -9, 0, 0, 9,
        since() + 86400 * 100 + up_to(86400 * 300, 'ahead', person_id), 0
    from people where in_klaviyo and draw('runs ahead', person_id) < future_share()
),
dated as (
    select
        hash('klaviyo event', person_id, deed_no, line, seed()) as event_hash,
        person_id, (if(metric_no = 6 and line > 0, 7, metric_no))::tinyint as metric_no,
         case
            when deed_no = -9 then since() + 86400 * 30 + up_to(86400 * 60, 'ahead of', person_id)
            when deed_no < 0 then occurred
            else occurred + lateness(3.9, 'late deed', person_id, deed_no)
        end as visible,
        occurred, deed_no, line, order_no_of(person_id, deed_no) as order_no,
        -- an order's value is the sum of its lines; a few have no readable value
        order_currency(person_id, deed_no) as currency,
        hundredths(case
            when rough() and draw('spoiled value', person_id, deed_no) < 0.004 then null
            when metric_no = 6 and line > 0 then line_cents(person_id, deed_no, line, spending)
            when metric_no = 11 and draw('refunded in part', person_id, deed_no) < 0.5
                then line_cents(person_id, deed_no, 1, spending)
            when metric_no in (6, 10, 11, 17) then list_sum(list_transform(
                range(1, 1 + things(person_id, deed_no)),
                lambda k: line_cents(person_id, deed_no, k, spending)))
        end, order_currency(person_id, deed_no))::bigint as hundredths,
        thing(person_id, deed_no, line) as product_no
    from lines
    where occurred >= joined
),
of_flows as (
    select * from dated

    union all by name

    select * from klaviyo_flow_deeds
)
select (row_number() over (order by occurred, event_hash) - 1)::integer as position, *
from of_flows
where visible < until() and (occurred < until() or deed_no = -9)
order by position;

-- Klaviyo's campaigns: an e-mail a week to mail readers, a text a week to people who prefer their phone. Every third week both
-- are about the same subject; every fourth of these e-mails is too early to be compared with its text. A campaign's results are
-- the events above: a week's receptions are those of its campaign, and opens and clicks belong to the last message received.
-- People without consent only get receipts, which belong to no campaign.

create table klaviyo_campaigns as
with weeks as (
    select
        week::integer as week, channel, week % 3 = 0 as is_pair, (week // 3) % 4 as sort,
        -- the earlier of two channels; all before the first reception
        604800 * week - 3600 * case when channel = 'sms' then 1 when is_pair then [20, 20, 44, 70][1 + sort] else 2 end
            as sent
    from range(since() // 604800, 5 + until() // 604800) as numbered(week)
    cross join (values ('email'), ('sms')) as channels(channel)
),
named as (
    select
        *,
        2 * week + (channel = 'sms')::integer as campaign_no,
        if(is_pair,
            concat(['24-hour sale', 'Product launch', 'Restock alert', 'Last chance'][1 + sort], ' ', week),
            concat(if(channel = 'sms', 'Text ', 'Letter '), week)) as subject,
        -- written three weeks ahead, scheduled one
        case when sent < until() then 'Sent' when sent < until() + 86400 * 7 then 'Scheduled' else 'Draft' end as status
    from weeks where sent < until() + 86400 * 21
)
select
    (row_number() over (order by campaign_no) - 1)::integer as position,
    ulid_of('campaign', campaign_no) as campaign_id,
    ulid_of('campaign message', campaign_no) as campaign_message_id,
    concat(subject, case when not is_pair then '' when channel = 'sms' then ' (SMS)' else ' - e-mail' end) as name,
    channel, subject, status,
    not is_pair and week % 13 = 5 as archived,
    to_timestamp(sent - 86400 * 21) as created_at,
    if(status = 'Draft', null, to_timestamp(sent - 86400 * 7)) as scheduled_at,
    to_timestamp(case status
        when 'Sent' then sent + 31 when 'Scheduled' then sent - 86400 * 7 else sent - 86400 * 21 end) as updated_at,
    to_timestamp(sent) as planned_at,
    if(status = 'Sent', to_timestamp(sent), null) as send_time,
    -- the share of clicks a campaign keeps, so that texts win, lose (the launch text has no link) and tie
    case when channel = 'email' or not is_pair then 1 else [1, 0, 0.3, 0.3][1 + sort] end::double as kept,
    campaign_no
from named
order by position;

create macro may_email(person) as draw('email consent', person) < 0.72;

create or replace table klaviyo_deeds as
with messages as (
    select *, if(metric_no in (4, 5), 'sms', 'email') as channel
    from klaviyo_deeds
    where metric_no < 6 and message_no is null and (metric_no > 3 or may_email(person_id))
),
received as (
    select *, (2 * (occurred // 604800) + (channel = 'sms')::integer)::integer as campaign_no
    from messages where metric_no in (0, 3, 4)
),
answered as (
    select answer.* exclude (channel), received.campaign_no
    from (select * from messages where metric_no in (1, 2, 5)) as answer
    asof inner join (select * from received where metric_no <> 3) as received
        on answer.person_id = received.person_id and answer.channel = received.channel
        and answer.occurred >= received.visible
    inner join klaviyo_campaigns on received.campaign_no = klaviyo_campaigns.campaign_no
    where answer.occurred - received.occurred < 86400 * 28
        and draw('campaign click', answer.person_id, answer.deed_no) < kept
),
told as (
    select event_hash, person_id, visible, occurred, metric_no, campaign_no from received
    union all
    select event_hash, person_id, visible, occurred, metric_no, campaign_no from answered
),
opened_texts as (
    select
        hash('opened text', event_hash) as event_hash, person_id,
        visible + 30 + wait(0.2, 'text opened', person_id, occurred) as occurred, 16::tinyint as metric_no, campaign_no
    from received where metric_no = 4 and tells_opening(person_id, occurred)
),
belongs as (
    select event_hash, campaign_no from told
),
everything as (
    select klaviyo_deeds.* exclude (position), belongs.campaign_no
    from klaviyo_deeds left join belongs using (event_hash)

    union all by name

    select *, occurred as visible from opened_texts where occurred < until()
)
select (row_number() over (order by occurred, event_hash) - 1)::integer as position, * from everything
order by position;

-- People who are gone at Klaviyo: some were deleted with all their events, others were merged into the next profile, which
-- received their events. Neither is listed from that day on.
create table klaviyo_gone as
with leaving as (
    select
        person_id, joined + up_to(86400 * 200, 'gone day', person_id) as gone,
        lead(person_id) over (order by person_id) as next_person_id,
        draw('is gone', person_id) as fate
    from people where in_klaviyo
)
select person_id, profile_id_of(person_id) as profile_id, gone, to_timestamp(gone) as gone_at,
    if(fate < 0.015, next_person_id, null) as heir_id
from leaving
where rough() and fate < 0.03 and gone < until()
    -- the heir exists
    and not exists (
        select 1 from leaving as heir where heir.person_id = leaving.next_person_id and heir.fate < 0.03
    );

delete from klaviyo_deeds where person_id in (select person_id from klaviyo_gone where heir_id is null);
update klaviyo_deeds set person_id = heir_id from klaviyo_gone
where klaviyo_deeds.person_id = klaviyo_gone.person_id;

-- The attribution of an order, by Klaviyo's documented rule: the last qualifying event known when the order came in. An e-mail
-- qualifies for five days after an open or click, a text for five days after a click, a day after an open and twelve hours after
-- delivery.
create macro earns_for(metric_no) as
    case when metric_no in (1, 2, 5) then 86400 * 5 when metric_no = 16 then 86400 when metric_no = 4 then 43200 end;

create table klaviyo_attributed as
with touches as (
    select event_hash as touch_hash, person_id, occurred as touched, visible as known, metric_no, message_no, campaign_no
    from klaviyo_deeds
    where metric_no in (1, 2, 4, 5, 16) and (message_no is not null or campaign_no is not null)
),
candidates as (
    select
        orders.event_hash, orders.position, touches.*,
        row_number() over (
            partition by orders.event_hash, touches.message_no, touches.campaign_no order by touched desc, touch_hash
        ) as nth_of_message
    from (select * from klaviyo_deeds where metric_no = 6) as orders
    inner join touches on orders.person_id = touches.person_id
        and touches.known <= orders.occurred and orders.occurred - touches.touched <= earns_for(touches.metric_no)
),
ranked as (
    select *, row_number() over (partition by event_hash order by touched desc, touch_hash) as nth
    from candidates where nth_of_message = 1
)
-- a live account sometimes attributes one order to two messages
select *, md5(concat('attribution', event_hash, nth)) as attribution_id
from ranked where nth = 1 or (nth = 2 and rough() and event_hash % 10 = 0)
order by position, nth;

create table klaviyo_campaign_totals as
with deeds as (
    select campaign_no, person_id, metric_no, 0 as hundredths from klaviyo_deeds where campaign_no is not null

    union all

    select klaviyo_attributed.campaign_no, orders.person_id, orders.metric_no, orders.hundredths
    from klaviyo_attributed inner join klaviyo_deeds as orders using (event_hash)
    where klaviyo_attributed.campaign_no is not null
),
people_reached as (
    select
        campaign_no, person_id,
        count(*) filter (metric_no in (0, 3, 4)) as messages, count(*) filter (metric_no in (0, 4)) as received,
        count(*) filter (metric_no in (1, 16)) as opens, count(*) filter (metric_no in (2, 5)) as clicks,
        count(*) filter (metric_no = 3) as bounces, count(*) filter (metric_no = 6) as orders,
        coalesce(sum(hundredths) filter (metric_no = 6), 0) as hundredths
    from deeds
    group by all
)
select
    klaviyo_campaigns.*,
    count(*) filter (messages > 0) as recipients, count(*) filter (received > 0) as delivered,
    coalesce(sum(opens), 0) as opens, count(*) filter (opens > 0) as opens_unique,
    coalesce(sum(clicks), 0) as clicks, count(*) filter (clicks > 0) as clicks_unique,
    count(*) filter (bounces > 0 and received = 0) as bounced,
    coalesce(sum(orders), 0) as conversions, count(*) filter (orders > 0) as conversion_uniques,
    -- unconverted, as in Klaviyo
    coalesce(sum(hundredths), 0) / 100 as conversion_value
from klaviyo_campaigns left join people_reached using (campaign_no)
where status = 'Sent'
group by all
order by position;

-- The device that read a mail: mostly the person's own, sometimes another. Webmail that fetches pictures itself hides an open's
-- device, and some mail programs open automatically.
create macro system_of(platform) as case platform
    when 'iphone' then 'iOS' when 'ipad' then 'iOS' when 'android' then 'Android'
    when 'windows' then 'Windows' when 'mac' then 'OS X' else 'Linux' end;
create macro hides_device(is_opening, device, client) as is_opening and device = 'Webmail' and client = 'Gmail';
create macro read_on(person, deed, is_opening, device, client, platform) as case
    when hides_device(is_opening, device, client) then null
    when draw('reads elsewhere', person, deed) < 0.12
        then if(platform in ('iphone', 'ipad', 'android'), 'Windows', 'Android')
    else system_of(platform)
end;
-- Addresses of the ranges reserved for documentation.
create macro ip_of(person) as concat('203.0.113.', 1 + person % 254);
create macro agent_of(browser) as concat('Mozilla/5.0 (sandbox) ', browser);
create macro client_of(person, deed, is_opening, device, client, platform) as json_object(
    'Client Name', if(hides_device(is_opening, device, client), 'Gmail image proxy', client),
    'Client Canonical', client,
    'Client Type', case device when 'Webmail' then 'Browser' when 'Desktop' then 'Email Client' else 'Mobile Browser' end,
    'Client OS', read_on(person, deed, is_opening, device, client, platform),
    'Client OS Family', read_on(person, deed, is_opening, device, client, platform),
    'machine_open', if(is_opening and starts_with(client, 'Apple') and draw('machine opens', person, deed) < 0.25,
        true, null),
    'Bot Click', if(not is_opening and draw('bot clicks', person, deed) < 0.03, true, null),
    '_ip', ip_of(person));
create macro postal_address(first_name, last_name, city, region, country, phone, person) as json_object(
    'FirstName', first_name, 'LastName', last_name, 'Address1', concat(1 + person % 240, ' Sandbox Street'),
    'Address2', '', 'City', city, 'Region', region, 'Zip', lpad((person % 100000)::varchar, 5, '0'),
    'Country', country, 'Phone', phone);

create macro thing_name(thing) as concat('Thing no. ', thing);
create macro things_in(person, deed) as
    list_transform(range(1, 1 + things(person, deed)), lambda line: thing_name(thing(person, deed, line)));

create view klaviyo_deeds_told as
select
    klaviyo_deeds.position,
    format('{:016x}', event_hash) as event_id,
    concat(
        format('{:08x}', occurred), '-', digits('event', event_hash, 0)[:4],
        '-11f0-8001-', digits('event', event_hash, 1)[:12]) as uuid,
    profile_id_of(klaviyo_deeds.person_id) as profile_id,
    klaviyo_metrics.metric_id, klaviyo_metrics.name as metric_name,
    to_timestamp(occurred) as occurred_at,
    to_timestamp(visible) as visible_at,
    coalesce(flow_message_id, campaign_message_id) is not null as is_of_message,
    -- many accounts have the campaign's id in place of the message's
    coalesce(flow_message_id, if(rough(), campaign_id, campaign_message_id)) as message_id,
    coalesce(sent, epoch(klaviyo_campaigns.planned_at)::bigint) as sent,
    coalesce(klaviyo_flow_messages.subject, klaviyo_campaigns.subject) as subject,
    klaviyo_flow_messages.flow_id, klaviyo_flow_messages.name as flow_message_name,
    coalesce(klaviyo_deeds.message_no % 2 = 0, klaviyo_deeds.campaign_no % 3 = 0) as is_tested,
    klaviyo_campaigns.name as campaign_name, klaviyo_campaigns.channel as campaign_channel,
    order_no,
    hundredths / 100 as value, hundredths, event_hash, product_no, currency, klaviyo_deeds.person_id, klaviyo_metrics.metric_no,
    klaviyo_deeds.metric_no as deed_kind, deed_no
from klaviyo_deeds
inner join klaviyo_metrics on klaviyo_metrics.metric_no = as_named(klaviyo_deeds.metric_no, occurred)
left join klaviyo_flow_messages using (message_no)
left join klaviyo_campaigns using (campaign_no);

-- The same with their relations, by the ids that the API serves.
create table klaviyo_attributions as
select
    (row_number() over (order by attributed.position, nth) - 1)::integer as position,
    attribution_id,
    format('{:016x}', event_hash) as event_id,
    format('{:016x}', touch_hash) as attributed_event_id,
    klaviyo_flow_messages.flow_id, klaviyo_flow_messages.flow_message_id,
    klaviyo_campaigns.campaign_id, klaviyo_campaigns.campaign_message_id,
    coalesce(flow_message_id, campaign_message_id) as message_id,
    coalesce(klaviyo_flow_messages.channel, klaviyo_campaigns.channel) as channel
from klaviyo_attributed as attributed
left join klaviyo_flow_messages using (message_no)
left join klaviyo_campaigns using (campaign_no)
order by position;

-- The properties of an event, with the keys of live accounts; many are personal. In a merge patch, null removes a key.
create view klaviyo_events as
select
    told.position, told.event_id, told.uuid, told.profile_id, told.metric_id, told.metric_name, told.occurred_at,
    told.visible_at,
    json_merge_patch('{}', case
        when deed_kind = 6 then json_merge_patch(told_money(event_hash, hundredths, currency), json_object(
            'OrderId', format('{:x}', event_hash >> 32),
            '$event_id', order_no, 'Items', things_in(told.person_id, deed_no),
            'Item Count', things(told.person_id, deed_no), 'Collections', [people.topic],
            'Discount Codes', if(event_hash % 9 = 0, ['SAVE10'], []), 'Total Discounts', '0.00',
            'Source Name', 'web', 'tags', '',
            'BillingAddress', postal_address(
                first_name, last_name, city, region, country, phone, told.person_id),
            'ShippingAddress', postal_address(
                first_name, last_name, city, region, country, phone, told.person_id),
            '$extra', json_object(
                'id', order_no, 'email', people.email, 'phone', phone, 'browser_ip', ip_of(told.person_id),
                'customer', json_object('first_name', first_name, 'last_name', last_name, 'email', people.email)),
            '$attribution', if(old_attribution(), (
                select json_object('$attributed_event_id', attributed_event_id, '$message', attribution.message_id,
                    '$flow', attribution.flow_id)
                from klaviyo_attributions as attribution where attribution.event_id = told.event_id
                order by attribution.position limit 1), null)))
        when deed_kind in (10, 11, 17) then json_merge_patch(told_money(event_hash, hundredths, currency), json_object(
            '$event_id', order_no, 'Items', things_in(told.person_id, deed_no), 'Item Count',
            things(told.person_id, deed_no), 'Reason', if(deed_kind = 10, 'customer', null)))
        when deed_kind = 7 then json_merge_patch(told_money(event_hash, hundredths, currency), json_object(
            '$event_id', concat(order_no, ':P', 100 + product_no),
            'OrderId', order_no, 'ProductID', concat('P', 100 + product_no), 'SKU', concat('SKU-', 100 + product_no),
            if(rough() and event_hash % 2 = 0, 'ProductName', 'Name'), thing_name(product_no),
            'Categories', [topics()[1 + product_no % 6]], 'Brand', 'Sandbox', 'Price', hundredths / 100, 'Quantity', 1))
        when deed_kind = 8 then json_object(
            'ProductID', concat('P', 100 + product_no), 'SKU', concat('SKU-', 100 + product_no),
            'Product Name', thing_name(product_no), 'Categories', [topics()[1 + product_no % 6]], 'Brand', 'Sandbox',
            'URL', concat('https://shop.example/product/', product_no), '_ip', ip_of(told.person_id))
        when deed_kind = 9 then json_object(
            'page', concat('https://shop.example/product/', product_no), 'browser', people.browser,
            'os', system_of(people.platform), '$is_session_activity', true, '_ip', ip_of(told.person_id))
        when is_of_message then json_object(
            '$flow', flow_id, '$message', message_id, '$message_interaction', message_id,
            '$event_id', concat(message_id, ':', event_hash % 1000000007, ':', sent),
            '$_cohort$message_send_cohort', concat(sent, ':', message_id), '$group_ids', [left(md5(message_id), 6)],
            -- every third campaign and the messages of half the flows are tests of two variations
            '$variation', if(is_tested, left(md5(concat(message_id, told.person_id % 2)), 6), null),
            'Campaign Name', coalesce(campaign_name, flow_message_name), 'Message Name', flow_message_name,
            '$campaign_channel', campaign_channel)
        else json_object('Message Type', 'transactional')
    end, case
        when deed_kind < 4 then json_object(
            'Subject', if(is_of_message, subject, 'Your receipt'), 'Recipient Email Address', people.email,
            'Email Domain', split_part(people.email, '@', 2), 'Inbox Provider', people.provider,
            '$internal', json_object(
                'User Agent', if(deed_kind in (1, 2), agent_of(people.browser), null),
                'Sending Ip Address', '198.51.100.7'),
            'Bounce Type', if(deed_kind = 3, if(event_hash % 3 = 0, 'Soft', 'Hard'), null),
            'URL', if(deed_kind = 2, concat('https://shop.example/', people.topic), null))
        when deed_kind in (4, 5, 16) then json_object(
            'To Number', phone, 'From Number', '+15550000000', 'To Phone Region', country,
            'From Phone Region', 'US', 'Message Format', 'SMS', 'Segment Count', 1,
            'Message Body', concat(coalesce(subject, 'Your order is on its way'), ', ', first_name),
            'URL', if(deed_kind = 5, concat('https://shop.example/', people.topic), null))
        else '{}'
    end, case
        when deed_kind in (1, 2) then client_of(
            told.person_id, deed_no, deed_kind = 1, people.device, people.client, people.platform)
        else '{}'
    end)::varchar as event_properties,
    told.value, if(hundredths is null, null, currency) as currency, told.person_id, told.metric_no,
    told.deed_no
from klaviyo_deeds_told as told left join people using (person_id);

create table klaviyo_profiles as
with done as (
    select
        person_id, max(visible) as last_seen, max(occurred) as last_event,
        count(*) filter (metric_no = 6) as orders, coalesce(sum(hundredths) filter (metric_no = 6), 0) as spent,
        min(occurred) filter (metric_no = 6) as first_order,
        max(occurred) filter (metric_no = 6) as last_order
    from klaviyo_deeds group by person_id
),
edited as (
    -- sometimes a profile changes without an event
    select person_id, max(edited) as last_edit
    from (
        select
            person_id,
            since() + 86400 * 28 * block + up_to(86400 * 28, 'edited', person_id, block) as edited
        from people cross join range(0, 1 + (until() - since()) // (86400 * 28)) as blocks(block)
        where draw('edits', person_id, block) < 0.12
    )
    where edited < until()
    group by person_id
),
expected as (
    select
        people.*, done.* exclude (person_id), last_edit,
        greatest(joined, coalesce(last_seen, joined), coalesce(last_edit, joined)) as changed,
        -- profiles without orders have no predictions
        spending >= 0.25 as has_prediction,
        round((15 + 700 * spending ** 3) * (0.5 - 0.8 * ln(1 - draw('worth', people.person_id))), 2) as worth,
        0.77 - 0.85 * spending - 0.25 * engagement + 0.5 * draw('leaves', people.person_id) as leaning,
        round(least(0.98, greatest(0.02, leaning)), 4) as leaves
    from people left join done using (person_id) left join edited using (person_id)
    where in_klaviyo and person_id not in (select person_id from klaviyo_gone)
)
select
    (row_number() over (order by changed, profile_id_of(person_id)) - 1)::integer as position,
    profile_id_of(person_id) as profile_id, person_id,
    email, phone as phone_number,
    if(draw('external id', person_id) < 0.6, concat('shop-', person_id), null) as external_id,
    first_name, last_name,
    case country
        when 'DE' then 'de-DE' when 'FR' then 'fr-FR' when 'NL' then 'nl-NL'
        when 'BR' then 'pt-BR' when 'JP' then 'ja-JP' else concat('en-', country)
    end as locale,
    to_timestamp(joined) as created, to_timestamp(changed) as updated,
    to_timestamp(last_event) as last_event_date,
    city, region, country, timezone, latitude, longitude,
    json_object('favourite topic', topic, 'loyalty_points', floor(1000 * spending)::integer,
        'source', pick(['checkout', 'pop-up', 'fair'], 'source', person_id))::varchar as properties,
    case
        when draw('email consent', person_id) < 0.72 then 'SUBSCRIBED'
        when draw('email consent', person_id) < 0.84 then 'UNSUBSCRIBED'
        else 'NEVER_SUBSCRIBED'
    end as email_consent,
    -- The reason why the address gets no marketing at all. Most leavers are suppressed; some only change their consents.
    case
        when draw('email consent', person_id) < 0.72 then draw('suppressed', person_id) < 0.02
        when draw('email consent', person_id) < 0.84 then draw('suppressed', person_id) < 0.75
        else draw('suppressed', person_id) < 0.25
    end as is_suppressed,
    case
        when not is_suppressed then null
        when email_consent = 'UNSUBSCRIBED' then 'UNSUBSCRIBE'
        else pick(['HARD_BOUNCE', 'INVALID_EMAIL', 'SPAM_COMPLAINT', 'USER_SUPPRESSED'], 'suppression', person_id)
    end as suppression_reason,
    -- One of klaviyo_lists, regardless of the person's other consents.
    if(draw('leaves a list', person_id) < 0.1, short_id_of('list', up_to(3, 'leaves list', person_id)), null)
        as left_list_id,
    -- Implicit consent: every profile that is not suppressed, even without an opt-in. Some accounts contradict themselves.
    if(rough() and draw('odd consent', person_id) < 0.15, is_suppressed, not is_suppressed) as can_receive_email,
    if(phone is not null and (channel = 'sms' or draw('sms consent', person_id) < 0.1),
       if(rough() and draw('leaves texts', person_id) < 0.1, 'UNSUBSCRIBED', 'SUBSCRIBED'), 'NEVER_SUBSCRIBED')
        as sms_consent,
    if(rough() and draw('odd text consent', person_id) < 0.05, sms_consent <> 'SUBSCRIBED', sms_consent = 'SUBSCRIBED')
        as can_receive_sms,
    case when has_prediction then spent / 100 end::double as historic_clv,
    case when has_prediction then hundredths(worth, account_currency()) end::double as predicted_clv,
    case when has_prediction then round(spent / 100 + hundredths(worth, account_currency()), 2) end::double as total_clv,
    case when has_prediction then coalesce(orders, 0) end::double as historic_number_of_orders,
    case when has_prediction then round(worth / (17 + 90 * spending * spending), 2) end::double
        as predicted_number_of_orders,
    case
        when has_prediction and orders > 1 then round((last_order - first_order) / 86400 / (orders - 1), 2)
    end::double as average_days_between_orders,
    case when has_prediction and orders > 0 then round(spent / 100 / orders, 2) end::double
        as average_order_value,
    case when has_prediction then leaves end::double as churn_probability,
    case when has_prediction and orders > 1
        then to_timestamp(last_order + (last_order - first_order) // (orders - 1))
    end as expected_date_of_next_order,
    joined, spending, engagement, topic
from expected
order by position;

create table klaviyo_segments as
select
    (segment_no)::integer as position,
    short_id_of('segment', segment_no) as segment_id,
    name,
    to_timestamp(since() - 86400 * (300 - 20 * segment_no)) as created,
    to_timestamp(since() - 86400 * (40 - segment_no)) as updated,
    true as is_active, false as is_processing, segment_no in (1, 3) as is_starred,
    segment_no
from (values
    (0, 'Newsletter'), (1, 'Engaged in 90 days'), (2, 'Active readers'), (3, 'Customers'),
    (4, 'Repeat customers'), (5, 'Cooks and gardeners'), (6, 'Win back'), (7, 'Founding members')
) as segment(segment_no, name)
order by position;

create table klaviyo_segment_members as
with members as (
    select
        person_id, profile_id, segment_no, joined,
        -- members of the narrower segment were in the wider one before
        joined + floor(86400 * 20 * draw('joins', person_id, if(segment_no in (1, 2), 1, segment_no)))::bigint
            + if(segment_no = 4, 86400 * 21, 0) as joined_group
    from klaviyo_profiles cross join klaviyo_segments
    where case segment_no
        when 0 then email_consent = 'SUBSCRIBED'
        when 1 then engagement > 0.52
        when 2 then engagement > 0.55 or engagement between 0.49 and 0.5
        when 3 then spending >= 0.4
        when 4 then spending >= 0.72
        when 5 then topic in ('cooking', 'gardening') and engagement > 0.2
        when 6 then churn_probability > 0.6
        else person_id <= population() and draw('founder', person_id) < 16 / population()
    end
)
select
    segment_id,
    (row_number() over (partition by segment_no order by joined_group, person_id) - 1)::integer as position,
    profile_id, to_timestamp(joined_group) as joined_group_at, person_id
from members inner join klaviyo_segments using (segment_no)
where joined_group < until()
order by segment_no, position;

-- Klaviyo's lists of sign-ups. Not all members may still receive e-mail, and fewer may receive texts.

create table klaviyo_lists as
select
    list_no::integer as position,
    short_id_of('list', list_no) as list_id,
    name, opt_in_process,
    to_timestamp(since() - 86400 * (320 - 20 * list_no)) as created,
    to_timestamp(since() - 86400 * (50 - list_no)) as updated,
    list_no
from (values
    (0, 'Weekly letter', 'double_opt_in'), (1, 'Text club', 'single_opt_in'),
    (2, 'Met at the fair', 'single_opt_in'), (3, 'Wholesale', 'double_opt_in')
) as list(list_no, name, opt_in_process)
order by position;

create table klaviyo_list_members as
with members as (
    select
        person_id, profile_id, list_no,
        joined + floor(86400 * 10 * draw('joins a list', person_id, list_no))::bigint as joined_group
    from klaviyo_profiles cross join klaviyo_lists
    where case list_no
        when 0 then email_consent <> 'NEVER_SUBSCRIBED' and draw('letter list', person_id) < 0.7
        when 1 then phone_number is not null and (sms_consent = 'SUBSCRIBED' or draw('text list', person_id) < 0.2)
        when 2 then properties::json ->> 'source' = 'fair'
        else false
    end
)
select
    list_id,
    (row_number() over (partition by list_no order by joined_group, person_id) - 1)::integer as position,
    profile_id, to_timestamp(joined_group) as joined_group_at, person_id
from members inner join klaviyo_lists using (list_no)
where joined_group < until()
order by list_no, position;
