{{ wanted_records('generations', more={'mailable_count': 'bigint'}) }}
