"""Long or heavy work, in a durable queue: streaq over the same Redis. Hidden behind a small port.

Jobs must be idempotent: one that was running when its process died is run again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import json
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from core.storage import keys
from core.storage.client import Store

if TYPE_CHECKING:
    from anyio import CancelScope
    from streaq import Worker

log = structlog.get_logger()

Run = Callable[[str], Coroutine[Any, Any, None]]
QUEUE = "parley"
TRIES = 5
RETRY_SECONDS = 1
CLOSE_SECONDS = 3.0
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
        self._scope: CancelScope | None = None
        self._started = asyncio.Event()
        self._lock = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def is_running(self) -> bool:
        """Whether this process does jobs by now."""
        return self._working is not None and not self._working.done()

    async def start_if_any(self) -> None:
        """Starts the worker if jobs are waiting from an earlier run."""
        waiting, delayed = keys.job_queue(QUEUE)

        async def count() -> list[int]:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.xlen(waiting)
            pipe.zcard(delayed)
            return await pipe.execute()

        if any(await self._store.attempt(count)):
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
        if self._working is None or self._worker is None or self._scope is None:
            return
        # The library lets its jobs end before it does: they are told to put themselves back.
        for running in self._running:
            running.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._worker.running():  # noqa: ASYNC110  the library has no event for it
                    await asyncio.sleep(0.01)
        # Its own kind of cancellation: it would lose a task's.
        self._scope.cancel()
        await asyncio.wait([self._working], timeout=CLOSE_SECONDS)
        if self._working.done() and not self._working.cancelled() and (error := self._working.exception()):
            log.warning("the job worker did not end well", cause=repr(error))

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
            worker.task(name=name, max_tries=TRIES, timeout=SECONDS, ttl=SECONDS)(self._job(name, run))
        return worker

    async def _work(self, worker: Worker[None]) -> None:
        import anyio

        async with anyio.create_task_group() as group:
            self._scope = group.cancel_scope
            await group.start(worker.run_async)
            self._started.set()

    def _job(self, name: str, run: Run) -> Callable[[str], Any]:
        async def job(argument: str) -> None:
            from streaq import StreaqRetry

            running = asyncio.ensure_future(run(argument))
            self._running.add(running)
            try:
                await running
            except asyncio.CancelledError:
                raise StreaqRetry(f"{name} was interrupted", delay=RETRY_SECONDS) from None
            except Exception as error:
                log.warning("job failed", job=name, cause=repr(error))
                raise StreaqRetry(f"{name} failed", delay=RETRY_SECONDS) from error
            finally:
                self._running.discard(running)

        job.__qualname__ = name
        return job
