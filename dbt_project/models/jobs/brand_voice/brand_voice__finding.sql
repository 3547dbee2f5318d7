select
    'wistia' as vendor,
    coalesce(
        case when count(*) > 0 then
            concat({{ one_or_many('count(*)', 'transcript', 'transcripts') }}, ', ', {{ one_or_many('coalesce(sum(word_count), 0)', 'word', 'words') }}, ' in all')
        end,
        'no transcripts yet'
    ) as finding
from {{ ref('dim_media_transcripts') }}
