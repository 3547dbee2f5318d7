"""A scheduled Dagster job with one op, `make scheduled`.

Change PROJECT and run `dagster dev -f dagster_job.py`. The keys are in the clone's `.env`.
"""

import subprocess

import dagster

PROJECT = "/srv/mavera-warehouse"


# Retries are safe: nothing is loaded or paid for twice.
@dagster.op(out=dagster.Out(dagster.Nothing), retry_policy=dagster.RetryPolicy(max_retries=2, delay=600))
def scheduled(context: dagster.OpExecutionContext) -> None:
    command = ["make", "--silent", "scheduled"]
    done = subprocess.run(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    context.log.info(done.stdout)
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if not line.startswith("make: ")]
        raise dagster.Failure(f"make scheduled failed: {said[-1] if said else 'it said nothing'}")


@dagster.job(executor_def=dagster.in_process_executor)
def mavera_warehouse() -> None:
    scheduled()


every_morning = dagster.ScheduleDefinition(job=mavera_warehouse, cron_schedule="15 5 * * *")
defs = dagster.Definitions(jobs=[mavera_warehouse], schedules=[every_morning])
