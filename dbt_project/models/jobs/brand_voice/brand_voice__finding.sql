select
    'wistia' as vendor,
    coalesce(
        case when count(*) > 0 then concat_ws('',
            {{ one_or_many('count(*)', 'video has a transcript', 'videos have transcripts') }},
            case when count(*) > 1 then ', together ' else ' of ' end, {{ one_or_many('coalesce(sum(word_count), 0)', 'word', 'words') }}
        )
        end,
        'No video has a transcript yet'
    ) as finding
from {{ ref('dim_media_transcripts') }}
