"""Loads the vendors' answers, typed, into `raw_<vendor>`: one dlt pipeline per source, one writer.

dlt reads its settings from the environment, so they are set before any module imports it. They turn off
telemetry, dlt's own log lines, pauses between packages and rows left in staging tables, and add a load id to
every row.
"""

import os

os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
    "LOAD__WORKERS": "1",
    "LOAD__RUN_SLEEP": "0",
    "LOAD__TRUNCATE_STAGING_DATASET": "true",
}
