"""The warehouse of several machines: raw tables as Parquet files, with everything else in PostgreSQL."""
