# The project as a container: `docker compose up -d` runs it once a day, next to a PostgreSQL server with the ledger.
# It is optional: `make demo` and `make scheduled` need no container.
FROM python:3.12-slim-bookworm

RUN apt-get update \
  && apt-get install --yes --no-install-recommends make=4.3-4.1 \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 10001 --create-home --home-dir /app warehouse

WORKDIR /app
COPY requirements.lock .
RUN python3 -m venv .venv \
  && .venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements.lock

COPY . .
# dbt writes compiled files into its project. The environment must be newer than its lock, or make builds it again.
RUN mkdir -p data published build dbt_project/target dbt_project/logs \
  && chown -R warehouse:warehouse data published build docs dbt_project \
  && touch .venv/.ready

USER 10001
ENV PYTHONUTF8=1 LOG=json
VOLUME ["/app/data", "/app/published"]
HEALTHCHECK --interval=1h --timeout=5m --start-period=1m --retries=1 CMD [".venv/bin/python", "-m", "operate.doctor"]
CMD ["make", "scheduled"]
