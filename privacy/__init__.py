"""Keep people and secrets from leaving: pseudonyms, personal data, the firewall, text from outside."""
