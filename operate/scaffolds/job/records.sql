-- TODO: say which records should exist, one row each, and the facts that may leave. This writes one for each [[ thing ]].
select
[% if kind == "brand-voices" %]
    media_id as entity,
    concat_ws('', '[[ title ]]: ', {{ label('max(media_name)') }}) as name,
    {{ facts_with_steps([
        ['media', label('max(media_name)')],
        figure('word_count', 'sum(word_count)'),
    ]) }},
    to_json({{ sorted_list(record([['name', label('media_name')], ['text', 'transcript']])) }}) as documents,
    cast(null as bigint) as person_count,
    {{ no_references() }} as reference_keys,
    cast(null as date) as measured_on
from {{ ref('dim_media_transcripts') }}
where caption_language = '{{ var('caption_language') }}' and not is_draft
group by media_id
[% else %]
    segment_id as entity,
    concat_ws('', '[[ title ]]: ', {{ label('segment_name') }}) as name,
    {{ facts_with_steps([
        ['segment', label('segment_name')],
        figure('member_count', 'member_count'),
    ]) }},
[% if kind == "generations" %]
    cast(null as bigint) as mailable_count,
[% endif %]
    member_count as person_count,
[% if kind == "focus-groups" %]
    to_json({{ text_list(['clv-tiers:top']) }}) as reference_keys,
[% else %]
    {{ no_references() }} as reference_keys,
[% endif %]
    measured_on
from {{ ref('dim_segments') }}
[% endif %]
