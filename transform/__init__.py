"""Run dbt on what came in, publish the read-only copy, and write the docs."""
