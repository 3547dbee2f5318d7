{{ wanted_records('personas') }}
