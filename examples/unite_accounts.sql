-- Two accounts side by side, from their published copies. Run it in any DuckDB client: duckdb -f examples/unite_accounts.sql
-- Amounts of different currencies stay apart: nothing is converted. Ids of people differ by account, because each has its own salt.
attach 'published/north/published.duckdb' as north (read_only);
attach 'published/south/published.duckdb' as south (read_only);

select
    account, date_trunc('month', sent_at)::date as month, currency, count(*) as campaigns, sum(received_count)::bigint as received,
    round(sum(clicked_count) / nullif(sum(received_count), 0), 4) as campaign_click_rate, sum(revenue) as revenue
from (
    select 'north' as account, * from north.marts.fct_campaigns
    union all by name
    select 'south' as account, * from south.marts.fct_campaigns
)
group by all
order by month desc, account, currency;
