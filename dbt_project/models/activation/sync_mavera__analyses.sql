{{ wanted_records('analyses') }}
