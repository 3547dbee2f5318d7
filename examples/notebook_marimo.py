"""The published copy in a notebook: `marimo edit examples/notebook_marimo.py`. It needs duckdb and pandas."""

import marimo

app = marimo.App()


@app.cell
def _():
    import os
    from pathlib import Path

    import duckdb

    beside = Path(__file__).parent.parent / "published" / "published.duckdb"
    copy = duckdb.connect(os.environ.get("PUBLISHED_PATH", str(beside)), read_only=True)
    return (copy,)


@app.cell
def _(copy):
    # Every table has its description as a comment.
    copy.sql("select table_name, estimated_size, comment from duckdb_tables() order by all").df()
    return


@app.cell
def _(copy):
    # A rate has its count and its interval beside it.
    copy.sql("""
        select campaign_name, received_count, clicked_share, clicked_share_low, clicked_share_high
        from marts.fct_campaigns
        where not is_small_sample
        order by clicked_share desc
        limit 10
    """).df()
    return


if __name__ == "__main__":
    app.run()
