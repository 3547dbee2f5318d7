# Every target needs only git, make and Python 3.11 or newer; uv is used if it runs. `make help` lists them.

PYTHON ?= python3
UV ?= uv
PEOPLE ?= 2000
EVENTS ?= 1000000
RUNS ?= 1
PARTS ?=
PORT ?= 8790
PLAN ?=
ARGS ?=
Q ?=
R ?=
M ?=
BY ?=
WHERE ?=
LIMIT ?=
AT ?=
TO ?=
BACKUP ?= backup/mavera-warehouse.backup
AS :=
NAME ?=
KIND ?=
SHARE ?=
ALL ?=
PY := .venv/bin/python
READY := .venv/.ready
DEV := .venv/bin/python
# With WAREHOUSE=spark, in the environment or in .env, commands run in build/spark, which has Spark's packages as well.
ENGINE := $(or $(WAREHOUSE),$(lastword $(shell sed -n "s/^ *WAREHOUSE *= *[\"']*\([a-z]*\).*/\1/p" "$(or $(ENV_FILE),.env)" 2>/dev/null)))
ifeq ($(ENGINE),spark)
PY := build/spark/bin/python
READY := build/spark/.ready
endif
# A file's tests share what they build. The order of files is kept, for those with few tests are often the long ones, which should
# not be the last. A worker that dies is not replaced: xdist would give it the same test again and again, or wait for ever.
TWO_WORKERS := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0
SCHEDULERS := 'apache-airflow-core>=3.1,<4' 'apache-airflow-providers-standard>=1,<2' 'dagster>=1.11,<2' # for which examples/ has schedules

export DO_NOT_TRACK := 1
export RUNTIME__DLTHUB_TELEMETRY := false
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check test-spark lint faults bench profile doctor ingest transform plan activate results scheduled drift status read shell query metric export forget backup restore publish \
  report docs screenshots dbt new-job new-vendor column-lineage zones sandbox cluster audit sbom lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.ready ## run every step once against a sandbox on this machine: no keys, no money
	@$(DEV) -m sandbox demo --people $(PEOPLE) --port $(PORT)

test: .venv/.dev lint ## run lint, type checks and every test
	@$(DEV) -m pytest $(TWO_WORKERS)

check: .venv/.dev lint ## run lint, type checks, and the tests that start no program, in less than a minute
	@$(DEV) -m pytest $(TWO_WORKERS) $$($(DEV) -m tests.pure)

test-spark: build/spark/.ready ## run the tests of Spark on a cluster of their own; ALL=1 adds every unit test of a model; needs Java 17 or 21
	@build/spark/bin/python -m pytest --timeout 1200 -o faulthandler_timeout=1500 tests/spark $(if $(ALL),--all-models) $(ARGS)

lint: .venv/.dev ## check style and types
	@$(DEV) -m ruff check . && $(DEV) -m ruff format --check .
	@$(DEV) -m mypy & types=$$!; trap "kill $$types" INT TERM; \
	$(DEV) -m sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests queries; sql=$$?; \
	wait $$types && exit $$sql

faults: .venv/.dev ## play every fault and every death of a run, and show the result; SEEDS=0:2835 plays more
	@$(DEV) -m tests.faults $(if $(SEEDS),--seeds $(SEEDS))
	@$(DEV) -m tests.ingest_faults
	@$(DEV) -m tests.fuzz_answers
	@$(DEV) -m tests.odd_values

bench: .venv/.dev ## measure each step against a yardstick from the same run; PEOPLE=20000, RUNS=3, PARTS="limits models", EVENTS=10000000
	@$(DEV) -m tests.bench --people $(PEOPLE) --runs $(RUNS) --events $(EVENTS) $(PARTS)

profile: $(READY) ## show where the time of ingest and transform goes, and write a trace that a browser draws
	@rm -f build/trace.json
	@TRACE=build/trace.json $(PY) -m ingest; [ $$? -le 1 ] && TRACE=build/trace.json $(PY) -m transform && $(PY) -m operate.profile

doctor: $(READY) ## check keys, scopes, versions, clock, locks and files; free, and writes nothing
	@$(PY) -m operate.doctor

ingest: $(READY) ## load new rows from the vendors and Mavera into the warehouse
	@$(PY) -m ingest

transform: $(READY) ## model and test the new rows, then publish the read-only copy
	@$(PY) -m transform

plan: $(READY) ## show what activate would send, and its credits; PLAN=FILE saves it for activate
	@$(PY) -m activate plan $(if $(PLAN),--save $(PLAN))

activate: $(READY) ## send the difference to Mavera, within CREDIT_BUDGET; PLAN=FILE sends exactly that plan
	@$(PY) -m activate apply $(PLAN)

results: $(READY) ## fetch Mavera's answers and model them
	@$(PY) -m ingest mavera && $(PY) -m transform

# Exit code 1 means that something failed and the rest is done, so the next step runs; but nothing is paid for with facts that are
# partly yesterday's. A signal reaches both the command and this shell, which waits for the command to end and starts nothing more.
scheduled: $(READY) ## run every step, as a schedule should: if a vendor fails, the others are modeled and nothing is sent
	@trap 'exit 143' TERM; trap 'exit 130' INT; \
	$(PY) -m ingest; ingested=$$?; [ $$ingested -le 1 ] || exit $$ingested; \
	$(PY) -m transform || exit; \
	[ $$ingested = 0 ] || { echo "not all was loaded: modeled and published, nothing was sent" >&2; exit 1; }; \
	$(PY) -m activate apply; sent=$$?; [ $$sent -le 1 ] || exit $$sent; \
	$(PY) -m ingest mavera && $(PY) -m transform || exit; \
	[ $$sent = 0 ] || exit $$sent; \
	$(PY) -m common.runs

drift: $(READY) ## show where Mavera differs from the ledger; free, and changes nothing by itself
	@$(PY) -m activate drift

status: $(READY) ## show your objects in Mavera and what they cost
	@$(PY) -m activate status

read: $(READY) ## print what Mavera answered: make read R=analyses/viewer-clusters:all; without R, list what can be read
	@$(PY) -m activate read $(if $(R),"$$R")

shell: $(READY) ## open a read-only SQL prompt on the published copy; AT=2026-11-01 on that of an earlier day
	@$(PY) -m operate.query $(if $(AT),--at "$$AT")

query: $(READY) ## answer one question: make query Q=queries/at_risk.sql, with AS=csv or AS=json for a program, LIMIT=10, AT=2026-11-01
	$(if $(filter-out csv json vertical,$(AS)),$(error AS is csv, json or vertical, and a table where it is left out, but it is $(AS)))
	@$(PY) -m operate.query "$$Q"$(if $(LIMIT), --limit "$$LIMIT")$(if $(AT), --at "$$AT") $(addprefix --,$(AS))

metric: build/metrics/.ready ## compute a metric: make metric M=click_rate BY=month; without M, list them. WHERE=, LIMIT= and AS= narrow and print it
	$(if $(filter-out csv json,$(AS)),$(error AS is csv or json, and a table where it is left out, but it is $(AS)))
	@build/metrics/bin/python -m operate.metric $(if $(M),"$$M") $(if $(BY),--by "$$BY") $(if $(WHERE),--where "$$WHERE") \
	  $(if $(LIMIT),--limit "$$LIMIT") $(addprefix --,$(AS))

export: $(READY) ## write the published copy as Parquet, a file per table: make export TO=build/export
	@$(PY) -m operate.export "$(or $(TO),build/export)"

forget: $(READY) ## delete a person from everything stored here, and keep that person out; asks for the address
	@$(PY) -m operate.forget

backup: $(READY) ## write ledger, salt, forgotten people and raw data into one encrypted file; BACKUP=FILE names it
	@$(PY) -m operate.backup make $(BACKUP)

restore: $(READY) ## restore a backup, without replacing any file; BACKUP=FILE names it
	@$(PY) -m operate.backup restore $(BACKUP)

publish: $(READY) ## write the read-only copy again
	@$(PY) -m transform publish

report: $(READY) ## draw the read-only copy as one page, build/report.html, with a summary to mail; SHARE=1 leaves out what is private
	@$(PY) -m report $(if $(SHARE),--share)

docs: $(READY) ## write each job's lineage as a picture, build/docs.html, and dbt's own page, build/dbt.html; renews the dictionary, metrics and glossary in docs
	@$(PY) -m transform docs

screenshots: .venv/.dev ## draw the demo's plan, report and docs page for the docs folder: docs/*.png; needs Chromium
	@$(DEV) -m tests.screenshots

dbt: $(READY) ## run dbt on the warehouse of your settings: make dbt ARGS="ls --select fct_campaigns+"
	@$(PY) -m transform dbt $(ARGS)

new-job: $(READY) ## write the folder of a new job: NAME=segment-members KIND=personas, or another kind; it is off until you switch it on
	@$(PY) -m operate.scaffold job -- "$$NAME" "$$KIND"

new-vendor: $(READY) ## write the folder of a new vendor, its staging model and its settings: NAME=acme
	@$(PY) -m operate.scaffold vendor -- "$$NAME"

column-lineage: .venv/.lineage docs ## show which column comes from which, build/column-lineage/index.html; installs the tool
	@.venv/bin/colibri generate --light --disable-telemetry --output-dir build/column-lineage \
	  --manifest dbt_project/target/manifest.json --catalog dbt_project/target/catalog.json >/dev/null
	@echo "build/column-lineage/index.html: open it in a browser"

zones: $(READY) ## write the seed of local times again, from the tzdata package in the lock
	@$(PY) -m transform.zones

sandbox: $(READY) ## serve the four vendors on this machine until you press Ctrl-C
	@$(PY) -m sandbox serve --people $(PEOPLE) --port $(PORT)

cluster: build/spark/.ready ## run Spark on this machine until you press Ctrl-C: a master, two workers and Spark Connect; needs Java 17 or 21
	@build/spark/bin/python -m operate.cluster $(ARGS)

audit: build/audit/.ready ## check every pinned package for known vulnerabilities; asks a public database
	@build/audit/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip

sbom: .venv/.ready build/audit/.ready ## list every package that runs, with version and license: build/sbom.json (CycloneDX), docs/licenses.md
	@mkdir -p build && build/audit/bin/cyclonedx-py environment $(DEV) --pyproject pyproject.toml --mc-type application --output-reproducible \
	  --output-file build/sbom.json
	@build/audit/bin/pip-licenses --python $(DEV) --from mixed --format markdown --order license --with-urls \
	  --packages $$(sed -n 's/==.*//p' requirements.lock) --output-file build/licenses.md >/dev/null
	@{ printf '# Licenses\n\nThe license of every package that the project runs on. `make sbom` writes this page.\n\n'; cat build/licenses.md; } > docs/licenses.md
	@echo "build/sbom.json, docs/licenses.md"

lock: ## renew the locks from pyproject.toml (needs uv)
	@$(UV) lock --quiet --upgrade
	@$(UV) export --quiet --no-default-groups --no-emit-project --no-header --no-annotate -o requirements.lock
	@$(UV) export --quiet --only-group test --only-group lint --no-emit-project --no-header --no-annotate -o requirements-dev.lock
	@$(UV) export --quiet --no-default-groups --group test --group spark --no-emit-project --no-header --no-annotate -o requirements-spark.lock
	@$(UV) export --quiet --no-default-groups --group metrics --no-emit-project --no-header --no-annotate -o requirements-metrics.lock
	@for group in lineage audit; do \
	  $(UV) export --quiet --only-group $$group --no-emit-project --no-header --no-annotate -o requirements-$$group.lock || exit; done
	@printf '%s\n' $(SCHEDULERS) | $(UV) pip compile --quiet --upgrade --universal --no-build --generate-hashes --python-version 3.11 \
	  --no-header --no-annotate -o requirements-schedulers.lock -

clean: ## delete what demo, docs and tests wrote; keeps .venv, data/ and .env
	@rm -rf build dbt_project/target dbt_project/logs .pytest_cache .ruff_cache .mypy_cache .hypothesis

# Checking uv's version detects the shims of version managers, which exist and only fail.
.venv/.ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: Python 3.11 or newer is needed, $(PYTHON) is older or missing. Try: make PYTHON=python3.11 $(or $(firstword $(MAKECMDGOALS)),demo)" >&2; exit 2; }
	@rm -rf .venv
	@if [ -n "$(UV)" ] && $(UV) --version >/dev/null 2>&1; then \
	  echo "environment: uv, from requirements.lock" >&2; \
	  $(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv && \
	  $(UV) pip sync --quiet --python $(DEV) --require-hashes requirements.lock; \
	else \
	  echo "environment: pip, from requirements.lock (a minute or three, once)" >&2; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "error: $(PYTHON) has no venv module. Install it (Debian, Ubuntu: sudo apt install python3-venv) or install uv, then run the same command again." >&2; exit 2; }; \
	  $(PYTHON) -m venv .venv && \
	  $(DEV) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; \
	fi
	@touch .venv/.ready

# The first target that needs an extra group adds it to the environment: dev (tests and lint), lineage.
.venv/.%: requirements-%.lock .venv/.ready
	@echo "environment: adding requirements-$*.lock" >&2
	@if [ -n "$(UV)" ] && $(UV) --version >/dev/null 2>&1; then \
	  $(UV) pip install --quiet --python $(DEV) --no-deps --require-hashes -r $<; \
	else \
	  $(DEV) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<; \
	fi
	@touch $@

# The audit tools need other versions of the project's packages, so they have their own environment.
build/audit/.ready: requirements-audit.lock
	@echo "environment: build/audit, from requirements-audit.lock" >&2
	@rm -rf build/audit && $(PYTHON) -m venv build/audit && build/audit/bin/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --require-hashes -r requirements-audit.lock
	@touch $@

# MetricFlow brings packages that nothing else needs, so that only those who ask for metrics install them.
build/metrics/.ready: requirements-metrics.lock
	@echo "environment: build/metrics, from requirements-metrics.lock (a minute or three, once)" >&2
	@rm -rf build/metrics && $(PYTHON) -m venv build/metrics && build/metrics/bin/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --require-hashes -r requirements-metrics.lock
	@touch $@

# Spark needs Java, and more packages than anybody on DuckDB has to install.
build/spark/.ready: requirements-spark.lock
	@echo "environment: build/spark, from requirements-spark.lock (a minute or three, once)" >&2
	@rm -rf build/spark && $(PYTHON) -m venv build/spark && build/spark/bin/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --require-hashes -r requirements-spark.lock
	@touch $@
