"""The whole way as a Dagster job, an op per make target, on a schedule.

Run `dagster dev -f dagster_job.py` and change PROJECT. Keys stand in the clone's `.env`. The ops use the same
files, so they run in one process, one after the other.
"""

import subprocess

import dagster

PROJECT = "/srv/mavera-warehouse"


def step(target: str) -> dagster.OpDefinition:
    # Every step may be run again as it is: nothing is loaded twice or paid twice.
    @dagster.op(
        name=target,
        ins={"before": dagster.In(dagster.Nothing)} if target != "ingest" else {},
        out=dagster.Out(dagster.Nothing),
        retry_policy=dagster.RetryPolicy(max_retries=2, delay=600),
    )
    def run(context: dagster.OpExecutionContext) -> None:
        done = subprocess.run(
            ["make", "--silent", target], cwd=PROJECT, capture_output=True, text=True, check=False
        )
        context.log.info(done.stderr + done.stdout)
        if done.returncode:
            said = (done.stderr + done.stdout).strip().splitlines() or ["it said nothing"]
            raise dagster.Failure(f"make {target} failed: {said[-1]}")

    return run


@dagster.job(executor_def=dagster.in_process_executor)
def mavera_warehouse() -> None:
    loaded = step("ingest")()
    modelled = step("transform")(loaded)
    sent = step("activate")(modelled)
    step("results")(sent)


every_morning = dagster.ScheduleDefinition(job=mavera_warehouse, cron_schedule="15 5 * * *")
defs = dagster.Definitions(jobs=[mavera_warehouse], schedules=[every_morning])
