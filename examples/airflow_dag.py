"""An Airflow DAG with one task, `make scheduled`. For Airflow 3, with the standard provider.

Copy this file into your DAGs folder and change PROJECT. The keys are in the clone's `.env`. Every run needs
the same files, so run it on one worker, with a queue of its own.
"""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

PROJECT = "/srv/mavera-warehouse"

with DAG(
    "mavera_warehouse",
    schedule="15 5 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,  # a run loads whatever is new since the last one, so a missed one needs no replay
    max_active_runs=1,
    # Retries are safe: nothing is loaded or paid for twice.
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
) as dag:
    BashOperator(task_id="scheduled", bash_command="make --silent scheduled", cwd=PROJECT)
