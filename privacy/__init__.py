"""Keep personal data and secrets from leaving: pseudonyms, detection, the firewall, text from outside."""
