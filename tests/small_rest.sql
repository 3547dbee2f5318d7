-- A row for each raw table that small_warehouse.sql leaves empty.
insert into raw_sendgrid.client_stats (date, type, name, opens, unique_opens) values ('2026-01-01', 'client', 'Gmail', 40, 30);
insert into raw_sendgrid.browser_stats (date, type, name, clicks, unique_clicks) values ('2026-01-01', 'browser', 'Chrome', 9, 6);
insert into raw_sendgrid.mailbox_provider_stats (date, type, name, processed, delivered, opens, unique_opens) values
    ('2026-01-01', 'mailbox_provider', 'Gmail', 110, 100, 90, 60);
insert into raw_klaviyo.catalog_items (id, external_id, title, price, variants, published) values
    ('$custom:::$default:::i1', 'i1', 'Skillet', 19.9, '["$custom:::$default:::v1"]', true);
insert into raw_klaviyo.catalog_variants (id, external_id, title, price, inventory_quantity, published) values
    ('$custom:::$default:::v1', 'v1', 'Skillet, large', 19.9, 4, true);
insert into raw_klaviyo.catalog_categories (id, external_id, name) values ('$custom:::$default:::k1', 'k1', 'Kitchen');
insert into raw_klaviyo.catalog_category_items (category_id, item_id) values ('$custom:::$default:::k1', '$custom:::$default:::i1');
