"""Commands for people who run the project: doctor, query, backup, and forgetting a person."""
