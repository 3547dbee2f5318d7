{{ wanted_records('generations') }}
