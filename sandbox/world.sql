-- The population of world.py: people, and what they did at each vendor. The settings people_(), seed_(), as_of_(),
-- since_(), horizon_(), late_(), future_() and same_second_() are macros that world.py makes before it runs this file.

-- A number from 0 to 1 for a row and the name of a trait.
create macro u(row_key, trait) as (hash(row_key, trait, seed_()) >> 11)::double / 9007199254740992.0;
-- The value whose cumulated weight a number from 0 to 1 falls under.
create macro pick(x, choices, cumulated) as choices[1 + len(list_filter(cumulated, lambda c: c <= x))];
create macro one_of(x, choices) as choices[1 + floor(x * len(choices))::int];
create macro bell(row_key, trait) as
    sqrt(-2 * ln(greatest(u(row_key, trait), 1e-12))) * cos(6.283185307179586 * u(row_key, trait || ' angle'));
create macro clipped(x) as least(1.0, greatest(0.0, x));
create macro code(row_key, trait, length) as
    right(lpad(lower(to_base((hash(row_key, trait, seed_()) >> 2)::bigint, 36)), 13, '0'), length);
create macro guid(row_key, trait) as (md5(concat_ws(' ', row_key, trait, seed_()))::uuid)::varchar;
-- An instant on one of the days of the horizon, at an hour near the person's own.
create macro instant(row_key, trait, hour) as
    since_() + to_days(floor(u(row_key, trait) * horizon_())::int)
    + to_seconds((((hour + floor(bell(row_key, trait || ' hour'))::int + 24) % 24) * 3600
      + floor(u(row_key, trait || ' second') * 3600))::bigint);

create table people as
with drawn as (
    select
        i::int as person_id,
        one_of(u(i, 'first name'), ['Ada','Ben','Carla','David','Emma','Farid','Grace','Hugo','Iris','Jonas','Kira','Liam',
            'Mara','Noah','Olga','Paul','Quinn','Rosa','Sven','Tara','Umar','Vera','Will','Xenia','Yara','Zoe']) as first_name,
        one_of(u(i, 'last name'), ['Abel','Berg','Cole','Dahl','Evans','Fox','Green','Hill','Ito','Jones','King','Lund',
            'Moore','Nagy','Olsen','Price','Quist','Reed','Stone','Turner','Unger','Vance','Wolf','Young','Zhang']) as last_name,
        pick(u(i, 'country'), ['US','GB','DE','CA','FR','AU','NO'], [0.44, 0.60, 0.72, 0.82, 0.90, 0.96]) as country,
        pick(u(i, 'topic'), ['trail','camping','climbing','cycling','winter','travel'],
            [0.28, 0.48, 0.62, 0.78, 0.90]) as topic,
        pick(u(i, 'viewing style'), ['binge','explorer','skimmer','bouncer','casual'],
            [0.09, 0.27, 0.52, 0.74]) as viewing_style,
        clipped(0.45 + 0.25 * bell(i, 'engagement')) as engagement,
        exp(3.6 + 0.8 * bell(i, 'spending')) as spending,
        case when u(i, 'channel') < 0.3 then 'sms' else 'email' end as channel,
        pick(u(i, 'provider'), ['Gmail','Yahoo','Microsoft','Apple','Other'], [0.46, 0.60, 0.80, 0.92]) as provider,
        -- Nine in ten were there before the first day; the rest join as time goes on.
        case when u(i, 'joins late') < 0.9
            then since_() - to_seconds(floor(u(i, 'joined') * 86400 * 365)::bigint)
            else since_() + to_seconds(floor(u(i, 'joined') * 86400 * horizon_())::bigint)
        end as joined_at,
        floor(u(i, 'vendors') * 20)::int as vendors
    from range(people_()) as numbers (i)
)
select
    person_id,
    lower(first_name) || '.' || lower(last_name) || '.' || person_id || '@example.com' as email,
    first_name,
    last_name,
    '+1555' || lpad(person_id::varchar, 7, '0') as phone,
    country,
    case country
        when 'US' then one_of(u(person_id, 'region'), ['CA','NY','TX','OR','CO','WA'])
        when 'CA' then one_of(u(person_id, 'region'), ['ON','BC','QC'])
        when 'GB' then one_of(u(person_id, 'region'), ['England','Scotland'])
        when 'DE' then one_of(u(person_id, 'region'), ['Bayern','Berlin','Hessen'])
        when 'FR' then 'Ile-de-France' when 'AU' then 'Victoria' else 'Oslo'
    end as region,
    case country when 'US' then 'Bend' when 'GB' then 'Leeds' when 'DE' then 'Ulm' when 'CA' then 'Banff'
        when 'FR' then 'Paris' when 'AU' then 'Melbourne' else 'Oslo' end as city,
    -- Cyclists and travellers read on the move, campers at the desk: device follows topic.
    pick(u(person_id, 'device'), ['Phone','Desktop','Webmail','Tablet','Other'],
        case when topic in ('cycling','travel') then [0.62, 0.78, 0.90, 0.97]
             when topic = 'camping' then [0.28, 0.66, 0.90, 0.97]
             else [0.46, 0.73, 0.90, 0.97] end) as device,
    pick(u(person_id, 'client'), ['Gmail','Apple Mail','Outlook','Yahoo Mail','Thunderbird'],
        [0.40, 0.68, 0.86, 0.95]) as client,
    pick(u(person_id, 'browser'), ['Chrome','Safari','Firefox','Edge'], [0.55, 0.80, 0.90]) as browser,
    provider,
    6 + floor(u(person_id, 'hour') * 16)::int as active_hour,
    topic,
    viewing_style,
    engagement,
    spending,
    channel,
    -- Of twenty people eleven are known to all three vendors, the others to one or two.
    vendors < 11 or vendors in (11, 12, 13, 14) as in_sendgrid,
    vendors < 11 or vendors in (11, 15, 16) as in_wistia,
    vendors < 11 or vendors in (12, 13, 17, 18, 19) as in_klaviyo,
    joined_at
from drawn
where joined_at < as_of_()
order by person_id;

create table single_sends as
with drawn as (
    select
        n::int as number,
        since_() + to_days((7 * n + 2)::int) + interval '9 hours' as send_at
    from range(horizon_() // 7) as numbers (n)
)
select
    row_number() over (order by number desc) - 1 as position,
    guid(number, 'single send') as single_send_id,
    'Digest ' || strftime(send_at, '%Y week %V') as name,
    case when send_at < as_of_() then 'triggered'
         when send_at < as_of_() + interval '7 days' then 'scheduled' else 'draft' end as status,
    ['digest', ['trail','camping','climbing','cycling','winter','travel'][1 + number % 6]] as categories,
    case when send_at < as_of_() + interval '7 days' then send_at end as send_at,
    number % 4 = 3 as is_abtest,
    send_at - interval '3 days' as created_at,
    case when send_at < as_of_() then send_at + interval '31 seconds' else send_at - interval '3 days' end as updated_at,
    number
from drawn
where send_at - interval '3 days' < as_of_()
order by position;

-- One row per mail: the single sends' (about half of the contacts each) and, without a single send, the shop's own.
create table mails as
with addressed as (
    select
        s.single_send_id,
        s.is_abtest,
        p.person_id || ' ' || s.number as mail,
        p.person_id,
        p.engagement,
        p.active_hour,
        s.send_at as sent_at
    from single_sends s
    join people p on p.in_sendgrid and p.joined_at < s.send_at
    where s.status = 'triggered' and u(p.person_id || ' ' || s.number, 'addressed') < 0.5

    union all

    select
        null, false, p.person_id || ' shop ' || k, p.person_id, p.engagement, p.active_hour,
        instant(p.person_id || ' ' || k, 'shop mail', p.active_hour) as mailed_at
    from people p, range(3) as numbers (k)
    where p.in_sendgrid and mailed_at < as_of_() and mailed_at >= p.joined_at
),
ended as (
    select
        *,
        pick(u(mail, 'outcome'), ['delivered','bounces','blocks','bounce_drops','invalid_emails','spam_report_drops',
            'unsubscribe_drops'], [0.962, 0.975, 0.981, 0.986, 0.990, 0.993]) as outcome,
        sent_at + to_seconds(floor(pow(u(mail, 'opens after'), 4) * 5 * 86400)::bigint + 60) as would_open_at
    from addressed
),
opened as (
    select
        *,
        case when outcome = 'delivered' and u(mail, 'opens') < 0.08 + 0.6 * engagement and would_open_at < as_of_()
            then would_open_at end as opened_at
    from ended
)
select
    single_send_id,
    case when is_abtest then guid(single_send_id, case when u(mail, 'variation') < 0.5 then 'A' else 'B' end) end
        as variation_id,
    case when is_abtest and u(mail, 'phase') < 0.2 then 'test' else 'send' end as phase,
    person_id,
    outcome,
    sent_at,
    opened_at,
    case when opened_at is null then 0 else 1 + floor(pow(u(mail, 'open count'), 3) * 3)::int end as open_count,
    case when opened_at is not null and u(mail, 'clicks') < 0.05 + 0.25 * engagement then opened_at end as clicked_at,
    case when clicked_at is null then 0 else 1 + floor(pow(u(mail, 'click count'), 3) * 2)::int end as click_count,
    case when opened_at is not null and u(mail, 'spam report') < 0.001 then opened_at end as spam_reported_at,
    case when opened_at is not null and u(mail, 'unsubscribes') < 0.004 then opened_at end as unsubscribed_at
from opened
order by sent_at;

create table medias as
select
    i as position,
    (7000000 + i)::bigint as media_id,
    code(i, 'media', 10) as hashed_id,
    topic || case i // 6 when 0 then ': product tour' when 1 then ': customer story' when 2 then ': how to start'
        else ': ask the guide' end as name,
    topic,
    case when i = 23 then 'Audio' else 'Video' end as media_type,
    round(45 + u(i, 'duration') * 900, 2) as duration_seconds,
    (500 + i % 3)::bigint as project_id,
    since_() - to_days((200 - i * 5)::int) as created_at,
    since_() - to_days((190 - i * 5)::int) as updated_at,
    i = 22 as is_deleted
from (select i::int as i, ['trail','camping','climbing','cycling','winter','travel'][1 + i % 6] as topic
      from range(24) as numbers (i))
order by position;

create table viewing_sessions as
with viewers as (
    select
        person_id, viewing_style, topic, active_hour, country, region, city, browser, device, email, joined_at,
        u(person_id, 'identified') < 0.42 as is_identified,
        case viewing_style
            when 'binge' then 7 + floor(u(person_id, 'plays') * 8)::int
            when 'explorer' then 4 + floor(u(person_id, 'plays') * 5)::int
            when 'skimmer' then 3 + floor(u(person_id, 'plays') * 6)::int
            when 'bouncer' then 1
            else 1 + floor(u(person_id, 'plays') * 3)::int
        end as play_count,
        case viewing_style
            when 'binge' then 0.88 when 'explorer' then 0.64 when 'skimmer' then 0.24 when 'bouncer' then 0.12
            else 0.55 end as usual_share
    from people
    where in_wistia
),
played as (
    select
        v.*,
        v.person_id || ' ' || k as session,
        greatest(instant(v.person_id || ' ' || k, 'session', v.active_hour), v.joined_at) as received_at,
        -- Three in four plays are of the viewer's own topic; the same media comes up again now and then.
        case when u(session, 'own topic') < 0.75
            then list_position(['trail','camping','climbing','cycling','winter','travel'], v.topic) - 1
                + 6 * floor(u(session, 'media') * 4)::int
            else floor(u(session, 'media') * 24)::int
        end as media_position,
        clipped(v.usual_share + 0.13 * bell(session, 'share')) as final_share
    from viewers v, range(v.play_count) as numbers (k)
),
seen as (
    select
        *,
        received_at + case when u(session, 'late') < (case when late_() then 0.2 else 0.03 end)
            then to_seconds(floor(u(session, 'late by') * 2 * 86400)::bigint) else interval '20 seconds' end as visible_at
    from played
)
select
    row_number() over (order by s.received_at desc, s.session) - 1 as position,
    epoch(s.received_at)::bigint || '_' || guid(s.session, 'event') as event_key,
    -- One in six owns a second browser, which Wistia takes for another visitor.
    code(s.person_id || case when u(s.person_id, 'second browser') < 0.16 and u(s.session, 'browser') < 0.4
        then ' other' else '' end, 'visitor', 13) as visitor_key,
    s.person_id,
    s.is_identified,
    m.hashed_id,
    m.name as media_name,
    s.received_at,
    s.visible_at,
    -- A session of the last two hours is still being watched.
    round(case when s.received_at > as_of_() - interval '2 hours' then s.final_share / 2 else s.final_share end, 4)
        as percent_viewed,
    case when s.is_identified and u(s.session, 'event email') < 0.6 then s.email end as email,
    s.country,
    s.region,
    s.city,
    case when u(s.person_id, 'org') < 0.5 then 'Example ISP' end as org,
    'https://shop.example/' || s.topic as embed_url,
    case when s.is_identified and u(s.session, 'converts') < 0.1 then 'pre-roll-email' else '' end as conversion_type,
    s.browser,
    s.device in ('Phone', 'Tablet') as is_mobile
from seen s
join medias m on m.position = s.media_position
where s.visible_at < as_of_()
order by position;

create table visitors as
with drawn as (
    select
        visitor_key,
        min(person_id) as person_id,
        min(received_at) as created_at,
        max(received_at) as last_active_at,
        max_by(event_key, received_at) as last_event_key,
        count(*) as play_count,
        min(browser) as browser,
        bool_or(is_mobile) as is_mobile,
        bool_or(is_identified) as is_identified
    from viewing_sessions
    group by visitor_key

    union all

    -- Some only load a page that holds a player.
    select code(person_id, 'loader', 13), person_id, since_() - interval '1 day', null, null, 0, browser,
        device in ('Phone', 'Tablet'), false
    from people
    where in_wistia and u(person_id, 'only loads') < 0.06
)
select
    row_number() over (order by coalesce(d.last_active_at, d.created_at) desc, d.visitor_key) - 1 as position,
    d.visitor_key,
    d.person_id,
    d.is_identified,
    case when d.is_identified then p.first_name end as name,
    case when d.is_identified then p.email when u(d.visitor_key, 'blank email') < 0.2 then '' end as email,
    d.created_at,
    d.last_active_at,
    d.last_event_key,
    d.play_count + 1 + floor(u(d.visitor_key, 'loads') * 4)::bigint as load_count,
    d.play_count,
    d.browser,
    (120 + floor(u(d.visitor_key, 'version') * 22)::int)::varchar as browser_version,
    one_of(u(d.visitor_key, 'platform'), ['mac','windows','ios','android']) as platform,
    d.is_mobile
from drawn d
join people p using (person_id)
order by position;

create table klaviyo_metrics as
select
    i::int as position,
    upper(code(i, 'metric', 6)) as metric_id,
    (['Received Email','Opened Email','Clicked Email','Bounced Email','Received SMS','Clicked SMS','Placed Order',
      'Ordered Product','Viewed Product','Active on Site'])[1 + i] as name,
    case when i in (6, 7) then 'Shopify' when i in (8, 9) then 'API' else 'Klaviyo' end as integration_name,
    case when i in (6, 7) then 'eCommerce' when i in (8, 9) then 'API' else 'Internal' end as integration_category,
    since_() - interval '400 days' as created,
    since_() - interval '300 days' as updated
from range(10) as numbers (i)
order by position;

create table klaviyo_events as
with profiles as (
    select *, '01' || upper(code(person_id, 'profile', 13)) || upper(code(person_id, 'profile tail', 11)) as profile_id
    from people
    where in_klaviyo
),
planned as (
    select profile_id, person_id, active_hour, joined_at, topic, spending, 'Received Email' as name, k
    from profiles, range(4) as numbers (k)
    union all
    select profile_id, person_id, active_hour, joined_at, topic, spending, 'Opened Email', k
    from profiles, range(floor(1 + 4 * engagement)::int) as numbers (k)
    union all
    select profile_id, person_id, active_hour, joined_at, topic, spending, 'Clicked Email', k
    from profiles, range(floor(2 * engagement)::int) as numbers (k)
    union all
    select profile_id, person_id, active_hour, joined_at, topic, spending, 'Received SMS', k
    from profiles, range(case channel when 'sms' then 3 else 0 end) as numbers (k)
    union all
    select profile_id, person_id, active_hour, joined_at, topic, spending, 'Viewed Product', k
    from profiles, range(floor(1 + 5 * u(person_id, 'views'))::int) as numbers (k)
    union all
    select profile_id, person_id, active_hour, joined_at, topic, spending, 'Placed Order', k
    from profiles, range(least(8, floor(spending / 40 + u(person_id, 'orders')))::int) as numbers (k)
),
dated as (
    select
        *,
        name || ' ' || person_id || ' ' || k as event,
        date_trunc('second', greatest(instant(name || ' ' || person_id || ' ' || k, 'event', active_hour), joined_at))
            as occurred_at
    from planned

    union all

    select profile_id, person_id, active_hour, joined_at, topic, spending, 'Viewed Product', 900,
        'future ' || person_id, date_trunc('second', as_of_() + to_days((1 + floor(u(person_id, 'ahead') * 300))::int))
    from profiles
    where future_() and u(person_id, 'future') < 0.02

    union all

    -- More rows in one second than a page holds.
    select profile_id, person_id, active_hour, joined_at, topic, spending, 'Viewed Product', 1000 + k,
        'same second ' || person_id || ' ' || k, since_() + interval '60 days 12 hours'
    from profiles, range(1 + 2500 // (select count(*) from profiles)) as numbers (k)
    where same_second_()
),
seen as (
    select
        *,
        case when name = 'Viewed Product' and k = 900 then as_of_() - interval '1 hour'
            else occurred_at + case when u(event, 'late') < (case when late_() then 0.25 else 0.04 end)
                then to_seconds(floor(u(event, 'late by') * 4 * 86400)::bigint) else interval '20 seconds' end
        end as visible_at
    from dated
)
select
    row_number() over (order by s.occurred_at, code(s.event, 'event id', 11)) - 1 as position,
    code(s.event, 'event id', 11) as event_id,
    guid(s.event, 'uuid') as uuid,
    s.profile_id,
    m.metric_id,
    m.name as metric_name,
    s.occurred_at,
    s.visible_at,
    (case s.name
        when 'Placed Order' then json_object('$value', round(s.spending * (0.5 + u(s.event, 'value')), 2),
            '$value_currency', 'USD', '$event_id', s.person_id || '-' || s.k, 'Items', [s.topic || ' set'])
        when 'Viewed Product' then json_object('ProductID', s.topic || '-' || s.k % 9, '$event_id', s.event)
        else json_object('$message', guid(floor(u(s.event, 'message') * 12), 'message'), '$event_id', s.event)
    end)::varchar as event_properties
from seen s
join klaviyo_metrics m on m.name = s.name
where s.visible_at < as_of_()
order by position;

create table klaviyo_profiles as
with activity as (
    select
        profile_id,
        max(occurred_at) filter (where occurred_at < as_of_()) as last_event_date,
        max(occurred_at) filter (where occurred_at < as_of_() and metric_name = 'Placed Order') as last_order_at,
        count(*) filter (where occurred_at < as_of_() and metric_name = 'Placed Order') as order_count
    from klaviyo_events
    group by profile_id
),
drawn as (
    select
        p.*,
        '01' || upper(code(p.person_id, 'profile', 13)) || upper(code(p.person_id, 'profile tail', 11)) as profile_id,
        a.last_event_date,
        coalesce(a.order_count, 0) as order_count,
        -- Klaviyo stamps a profile when an order changes it.
        date_trunc('second', greatest(p.joined_at, coalesce(a.last_order_at, p.joined_at))) as updated,
        u(p.person_id, 'predicted') < 0.74 as is_predicted,
        round(p.spending * (1 + 6 * p.engagement), 2) as predicted,
        round(clipped(0.95 - p.engagement + 0.15 * bell(p.person_id, 'churn')), 4) as churn
    from people p
    left join activity a on a.profile_id
        = '01' || upper(code(p.person_id, 'profile', 13)) || upper(code(p.person_id, 'profile tail', 11))
    where p.in_klaviyo
)
select
    row_number() over (order by updated, profile_id) - 1 as position,
    profile_id,
    person_id,
    -- Some write their address in capitals, some gave none.
    case when u(person_id, 'no email') < 0.03 then null when u(person_id, 'capitals') < 0.05 then upper(email)
        else email end as email,
    case when channel = 'sms' then phone end as phone_number,
    'crm-' || person_id as external_id,
    first_name,
    last_name,
    'en-US' as locale,
    date_trunc('second', joined_at) as created,
    updated,
    last_event_date,
    city,
    region,
    country,
    'UTC' as timezone,
    json_object('topic', topic)::varchar as properties,
    case when u(person_id, 'email consent') < 0.85 then 'SUBSCRIBED' else 'NEVER_SUBSCRIBED' end as email_consent,
    case when channel = 'sms' then 'SUBSCRIBED' else 'NEVER_SUBSCRIBED' end as sms_consent,
    case when is_predicted then round(spending * order_count, 2) end as historic_clv,
    case when is_predicted then predicted end as predicted_clv,
    case when is_predicted then round(spending * order_count + predicted, 2) end as total_clv,
    case when is_predicted then order_count end as historic_number_of_orders,
    case when is_predicted then round(predicted / spending, 2) end as predicted_number_of_orders,
    case when is_predicted and order_count > 1 then round(300.0 / order_count, 1) end as average_days_between_orders,
    case when is_predicted then round(spending, 2) end as average_order_value,
    case when is_predicted then churn end as churn_probability,
    case when is_predicted and order_count > 1
        then date_trunc('day', as_of_() + to_days(floor(300.0 / order_count)::int)) end as expected_date_of_next_order
from drawn
order by position;

create table klaviyo_segments as
select
    i::int as position,
    code(i, 'segment', 6) as segment_id,
    (['Engaged 30 days','Engaged 60 days','VIP','Loyal buyers','SMS consent','Lapsed 180 days','Trail fans',
      'Beta testers'])[1 + i] as name,
    since_() - to_days((300 - i)::int) as created,
    since_() - to_days((100 - i)::int) as updated,
    true as is_active,
    false as is_processing,
    i = 2 as is_starred
from range(8) as numbers (i)
order by position;

create table klaviyo_segment_members as
with joined as (
    select
        s.segment_id,
        k.profile_id,
        date_trunc('second', p.joined_at
            + to_seconds(floor(u(p.person_id || s.segment_id, 'joins group') * 86400)::bigint)) as joined_group_at
    from klaviyo_profiles k
    join people p using (person_id)
    join klaviyo_segments s on case s.name
        when 'Engaged 30 days' then p.engagement > 0.55
        when 'Engaged 60 days' then p.engagement > 0.54 and u(p.person_id, 'engaged lately') > 0.02
        when 'VIP' then p.spending > 110
        when 'Loyal buyers' then p.spending > 60
        when 'SMS consent' then k.sms_consent = 'SUBSCRIBED'
        when 'Lapsed 180 days' then p.engagement < 0.25
        when 'Trail fans' then p.topic = 'trail'
        when 'Beta testers' then p.person_id < 16
    end
)
select
    segment_id,
    row_number() over (partition by segment_id order by joined_group_at, profile_id) - 1 as position,
    profile_id,
    joined_group_at
from joined
where joined_group_at < as_of_()
order by segment_id, position;
