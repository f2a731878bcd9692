"""Long or heavy work, in a durable queue: streaq over the same Redis. Hidden behind a small port.

Jobs must be idempotent: one that was running when its process died is run again.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from core.storage import keys
from core.storage.client import Store

if TYPE_CHECKING:
    from streaq import Worker

log = structlog.get_logger()

Run = Callable[[str], Awaitable[None]]
QUEUE = "parley"
TRIES = 3
SECONDS = timedelta(minutes=5)
IDLE_SECONDS = 30.0
"""A dead worker's jobs are run again after this time."""


class Jobs:
    """The queue and, in a process that does jobs, their worker. Nothing is imported before the first job."""

    def __init__(self, url: str, store: Store, run: Mapping[str, Run], *, concurrency: int = 2) -> None:
        self._url = url
        self._store = store
        self._run = run
        self._concurrency = concurrency
        self._worker: Worker[None] | None = None
        self._working: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._lock = asyncio.Lock()

    @property
    def is_running(self) -> bool:
        """Whether this process does jobs by now."""
        return self._working is not None and not self._working.done()

    async def start_if_any(self) -> None:
        """Starts the worker if jobs are waiting from an earlier run."""
        waiting, delayed = keys.job_queue(QUEUE)
        pipe = self._store.redis.pipeline(transaction=False)
        pipe.xlen(waiting)
        pipe.zcard(delayed)
        if any(await self._store.attempt(pipe.execute)):
            await self._start()

    async def enqueue(self, name: str, id: str, argument: str) -> None:
        """Puts a job into the queue; one with the same id that is there already is the same job.

        Raises KeyError for a job that nobody does.
        """
        worker = await self._start()
        task = worker.registry[name].enqueue(argument)
        task.id = hashlib.sha256(id.encode()).hexdigest()[:32]
        await task

    async def close(self) -> None:
        """Ends the worker; what it was doing is run again later."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])

    async def _start(self) -> Worker[None]:
        async with self._lock:
            if self._worker is None:
                # Its import takes a fifth of a second: no answer may stand still for that.
                await asyncio.to_thread(importlib.import_module, "streaq")
                self._worker = self._build()
                self._working = asyncio.create_task(self._work(self._worker), name="jobs")
            waiter = asyncio.create_task(self._started.wait())
            assert self._working is not None
            await asyncio.wait((waiter, self._working), return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            if self._working.done():
                self._worker = None
                await self._working
            return self._worker  # pyright: ignore[reportReturnType]

    def _build(self) -> Worker[None]:
        from streaq import Worker

        worker: Worker[None] = Worker(
            self._url,
            concurrency=self._concurrency,
            queue_name=QUEUE,
            # The library's default is pickle: whoever can write to Redis could run code here.
            serializer=json.dumps,
            deserializer=json.loads,
            handle_signals=False,
            idle_timeout=IDLE_SECONDS,
        )
        for name, run in self._run.items():
            worker.task(name=name, max_tries=TRIES, timeout=SECONDS, ttl=SECONDS)(_job(name, run))
        return worker

    async def _work(self, worker: Worker[None]) -> None:
        import anyio

        async with anyio.create_task_group() as group:
            await group.start(worker.run_async)
            self._started.set()


def _job(name: str, run: Run) -> Callable[[str], Any]:
    async def job(argument: str) -> None:
        try:
            await run(argument)
        except Exception as error:
            from streaq import StreaqRetry

            log.warning("job failed", job=name, cause=repr(error))
            raise StreaqRetry(f"{name} failed") from error

    job.__qualname__ = name
    return job
