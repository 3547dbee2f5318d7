-- How do our flow messages read now, what did Mavera write instead, and what are their rates?
select
    rewrites.message_name, messages.subject, texts.generated_text, rewrites.click_outcome,
    round(rewrites.before_click_share, 3) as clicked_before, round(rewrites.after_click_share, 3) as clicked_after,
    round(messages.peer_click_share, 3) as peers_click
from marts.fct_flow_rewrites as rewrites
join marts.fct_flow_messages as messages using (flow_message_id)
join marts.fct_generations as texts using (generation_id)
order by rewrites.written_at desc, rewrites.message_name
