with known as (

    select kind, known_by from {{ ref('stg_operations__people') }}

),

-- A person with three names is also called by the first and the last of them.
names as (

    select known_by from known
    where kind = 'name'
    union
    select concat_ws('', split_part(known_by, ' ', 1), ' ', split_part(known_by, ' ', -1)) as known_by from known
    where kind = 'name' and known_by like '_% _%'

),

keys as (

    select distinct known_by from known
    where kind = 'key'

)

select known_by, 'name' as kind
from names
where known_by like '_% _%'
{%- for name in var('names_of_nobody') %}
    and lower(known_by) <> '{{ name }}'
{%- endfor %}
union all
select known_by, 'key' as kind
from keys
