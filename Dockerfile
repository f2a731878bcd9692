# Parley in a container. With docker-compose.yml it gets a Valkey beside it; alone it uses its embedded one.
FROM python:3.11.14-slim-bookworm

# ca-certificates: TLS trusts the system's store. libgomp1: the built-in model's engine needs it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 parley \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin parley \
    && install --directory --owner=parley --mode=0700 /data

WORKDIR /app
# What is installed changes seldom, and is a layer of its own: everything pinned and hashed.
COPY pyproject.toml requirements.lock requirements-model.lock README.md LICENSE NOTICE ./
COPY tools tools
RUN PIP_NO_CACHE_DIR=1 python tools/environment.py run
COPY core core
COPY bots bots
RUN .venv/bin/python -m compileall -q core bots

ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PARLEY_DATA=/data \
    PARLEY_LOG=json
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
VOLUME /data
EXPOSE 8080
# All but model servers keep this file young and say in it that they are ready (core/pulse.py).
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["sh", "-c", "grep -q ready $PARLEY_DATA/pulse && test $(( $(date +%s) - $(stat -c %Y $PARLEY_DATA/pulse) )) -lt 30"]
CMD ["parley", "up"]
