"""Code that every part uses: settings, terminal, DuckDB files, history of runs, assumptions on Mavera."""
