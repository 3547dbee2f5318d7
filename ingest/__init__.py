"""What the vendors said, typed, in `raw_<vendor>`: one dlt pipeline per source, one writer.

dlt takes its settings from the environment, so they are put there before any module imports it: no telemetry,
no log lines of its own, a load id on every row, no pause between packages, no rows left in its staging
tables.
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
