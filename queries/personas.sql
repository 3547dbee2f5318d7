-- Which personas are in Mavera, what did we send, and what did Mavera make of it?
select record_key, persona_name, standing, version_number, description, profile
from marts.dim_personas
where is_current
order by record_key
