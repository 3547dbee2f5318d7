"""The whole way as an Airflow DAG of one task, `make scheduled`. For Airflow 3, with the standard provider.

Copy it into the folder of your DAGs and change PROJECT. Keys stand in the clone's `.env`. Every run needs the
same files, so let it have one worker, by a queue of its own.
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
    # It may be run again as it is: nothing is loaded twice or paid twice.
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
) as dag:
    BashOperator(task_id="scheduled", bash_command="make --silent scheduled", cwd=PROJECT)
