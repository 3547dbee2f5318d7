{{ wanted_records('brand-voices', more={'documents': 'json'}) }}
