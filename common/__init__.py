"""What every part uses: settings, the terminal, DuckDB files, the history of runs, Mavera assumptions."""
