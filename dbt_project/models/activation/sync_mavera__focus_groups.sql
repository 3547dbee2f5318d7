{{ wanted_records('focus-groups') }}
