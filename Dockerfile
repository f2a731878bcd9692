# Parley in a container. With docker-compose.yml it gets a Valkey beside it; alone it uses its embedded one.
FROM python:3.11.14-slim-bookworm

# ca-certificates: TLS trusts the system's store. libgomp1: the built-in model's engine needs it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin parley \
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
USER parley
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import os, socket; port = int(os.environ.get('PARLEY_WEB_PORT') or 8080); port and socket.create_connection(('127.0.0.1', port), 5).close()"]
CMD ["parley", "up"]
