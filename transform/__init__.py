"""Runs dbt on the loaded rows, publishes the read-only copy, and writes the docs."""
