"""Long or heavy work, in durable queues: streaq over the same Redis. Hidden behind a small port.

Each kind of work has its queue, and a process works the queues it is told, so that pictures may be made on the machine
with the GPU and nowhere else. Jobs must be idempotent: one that was running when its process died is run again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from core.errors import StorageError
from core.storage import keys, queues
from core.storage.client import Store
from core.tasks import end

if TYPE_CHECKING:
    from anyio import CancelScope
    from streaq import StreaqRetry, Worker
    from streaq.types import StreamMessage

log = structlog.get_logger()

Run = Callable[[str], Coroutine[Any, Any, None]]
OnDead = Callable[[str, str, str, BaseException], Awaitable[None]]
"""Told of a job that failed for good: name, id, argument and the last cause."""
IsPaused = Callable[[], Awaitable[bool]]
"""Never fails."""
TRIES = 5
RETRY_SECONDS = 1.0
"""Before the second try; four times as long before each further one."""
PAUSED_SECONDS = 15.0
"""While nothing is to be done, a job is put back for so long."""
UNKNOWN_SECONDS = 30.0
"""A job that this program does not know, but a newer one may, is put back for so long."""
CLOSE_SECONDS = 3.0
IDLE_SECONDS = 30.0
"""A dead worker's jobs are run again after this time."""
LOOK_SECONDS = 2.0
"""How often a queue that had no jobs yet is looked at."""
ENQUEUE_PAUSES = (0.1, 0.5, 2.0, 5.0)
FUNCTION = "job"
"""All jobs are this function to the library, which would throw away what it knows no function for."""


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the table of jobs."""

    name: str
    queue: str
    """One of ``core.settings.QUEUES``."""
    run: Run | None = None
    """What does it with its argument. None where only other processes do it."""
    seconds: float = 300.0
    """The longest that one try may take."""


class JobDied(Exception):
    """Every process that ran the job ended while it did."""


class Jobs:
    """The queues as one process sees them. Nothing is imported before the first job."""

    def __init__(
        self,
        store: Store,
        table: Sequence[Job],
        queues: Mapping[str, int],
        on_dead: OnDead | None = None,
        *,
        idle_seconds: float = IDLE_SECONDS,
        is_paused: IsPaused | None = None,
    ) -> None:
        """``queues`` are those whose jobs this process does, with how many of each at once; jobs of all others it
        only enqueues. While ``is_paused`` says so, none is begun."""
        self._store = store
        self._table = {job.name: job for job in table}
        able = {job.queue for job in table if job.run is not None}
        self._queues = {
            name: _Queue(
                store, name, self._table, queues.get(name, 0) if name in able else 0, on_dead, idle_seconds, is_paused
            )
            for name in {job.queue for job in table}
        }

    async def run(self) -> None:
        """Starts work on a queue when there are jobs in it, and again when it broke off, until cancelled."""
        while True:
            try:
                await self.start_if_any()
            except Exception as error:
                # Whatever the library or the server has: it is looked at again soon.
                log.warning("jobs not started", cause=repr(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def start_if_any(self) -> None:
        """Starts work on the queues in which jobs wait, whoever put them there. Raises StorageError."""
        fresh = [queue for queue in self._queues.values() if queue.concurrency and not queue.was_opened]
        waiting = await self._waiting(fresh) if fresh else []
        for queue in self._queues.values():
            if queue.was_opened or queue in waiting:
                await queue.open()

    async def _waiting(self, fresh: Sequence[_Queue]) -> list[_Queue]:
        async def count() -> list[int]:
            pipe = self._store.redis.pipeline(transaction=False)
            for queue in fresh:
                waiting, delayed = keys.job_queue(queue.name)
                pipe.xlen(waiting)
                pipe.zcard(delayed)
            return await pipe.execute()

        counts = await self._store.attempt(count)
        return [queue for index, queue in enumerate(fresh) if any(counts[2 * index : 2 * index + 2])]

    async def enqueue(self, name: str, id: str, argument: str) -> None:
        """Puts a job into its queue; one with the same id that is there already is the same job.

        Raises KeyError for a job that is not in the table, StorageError.
        """
        queue = self._queues[self._table[name].queue]
        for pause in ENQUEUE_PAUSES:
            with contextlib.suppress(StorageError):
                await queue.enqueue(name, id, argument)
                return
            await asyncio.sleep(pause)
        await queue.enqueue(name, id, argument)

    async def close(self) -> None:
        """Ends the work; what was being done is put back, to be done later."""
        await asyncio.gather(*(queue.close() for queue in self._queues.values()))


class _Queue:
    """One queue: its worker, which only puts jobs in where ``concurrency`` is 0."""

    def __init__(
        self,
        store: Store,
        name: str,
        table: Mapping[str, Job],
        concurrency: int,
        on_dead: OnDead | None,
        idle_seconds: float,
        is_paused: IsPaused | None,
    ) -> None:
        self.name = name
        self.concurrency = concurrency
        self.was_opened = False
        self._store = store
        self._table = table
        self._on_dead = on_dead
        self._idle_seconds = idle_seconds
        self._is_paused = is_paused
        self._worker: Worker[None] | None = None
        self._working: asyncio.Task[None] | None = None
        self._scope: CancelScope | None = None
        self._started = asyncio.Event()
        self._lock = asyncio.Lock()
        self._running: set[asyncio.Future[None]] = set()
        self._unfinished = 0
        """Jobs taken of which it is not written yet what came of them."""
        self._is_closing = False

    @property
    def is_open(self) -> bool:
        return self._working is not None and not self._working.done()

    async def enqueue(self, name: str, id: str, argument: str) -> None:
        """Raises StorageError, also where it may be there by now."""
        worker = await self.open()
        from coredis.exceptions import RedisError

        task = worker.enqueue_unsafe(FUNCTION, name, id, argument)
        task.id = hashlib.sha256(id.encode()).hexdigest()[:32]
        try:
            await task
        except (RedisError, OSError) as error:
            raise StorageError(f"job not enqueued: {type(error).__name__}") from error

    async def open(self) -> Worker[None]:
        """The worker, at work or ready to be given jobs. Raises StorageError."""
        async with self._lock:
            if self._worker is None or not self.is_open:
                await self._start()
            assert self._worker is not None
            return self._worker

    async def _start(self) -> None:
        # Its import takes a fifth of a second: no answer may stand still for that.
        await asyncio.to_thread(importlib.import_module, "streaq")
        self._report()
        self._started.clear()
        self._worker = self._build()
        self._working = asyncio.create_task(self._work(self._worker), name=f"jobs {self.name}")
        self.was_opened = True
        waiter = asyncio.create_task(self._started.wait())
        try:
            await asyncio.wait((waiter, self._working), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        if self._working.done():
            self._report()
            raise StorageError(f"the queue {self.name} cannot be opened")

    def _report(self) -> None:
        """Says why the worker ended, if it did."""
        if self._working is not None and self._working.done():
            if not self._working.cancelled() and (error := self._working.exception()):
                log.warning("the job worker ended", queue=self.name, cause=repr(error))
            self._working = None

    def _build(self) -> Worker[None]:
        from streaq import Worker

        worker: Worker[None] = Worker(
            **queues.connection(self._store.address, self._idle_seconds + queues.CONNECT_SECONDS),
            concurrency=max(1, self.concurrency),
            queue_name=keys.job_queue_name(self.name),
            # The library's default is pickle: whoever can write to Redis could run code here.
            serializer=json.dumps,
            deserializer=json.loads,
            handle_signals=False,
            idle_timeout=self._idle_seconds,
        )
        # Nothing is taken that cannot be begun: another worker may have room for it.
        worker.prefetch = worker.concurrency
        run_task = worker.run_task

        async def run(msg: StreamMessage) -> None:
            self._unfinished += 1
            try:
                await run_task(msg)
            finally:
                self._unfinished -= 1

        worker.run_task = run
        worker.signal_handler = _leave_signals
        worker.task(name=FUNCTION, max_tries=None)(self._job(worker))
        return worker

    async def _work(self, worker: Worker[None]) -> None:
        import anyio

        async with anyio.create_task_group() as group:
            self._scope = group.cancel_scope
            if self.concurrency:
                await group.start(worker.run_async)
                self._started.set()
            else:
                async with worker:
                    self._started.set()
                    await anyio.sleep_forever()

    async def close(self) -> None:
        if self._working is None or self._scope is None:
            return
        # The library lets its jobs end before it does: they are told to put themselves back.
        self._is_closing = True
        for running in self._running:
            running.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._unfinished:  # noqa: ASYNC110  the library has no event for it
                    await asyncio.sleep(0.01)
        # Its own kind of cancellation: it would lose a task's.
        self._scope.cancel()
        await asyncio.wait([self._working], timeout=CLOSE_SECONDS)
        self._report()

    def _job(self, worker: Worker[None]) -> Callable[[str, str, str], Any]:
        async def job(name: str, id: str, argument: str) -> None:
            context = worker.registry[FUNCTION].context
            if self._is_closing:
                raise await self._put_back(context.task_id, RETRY_SECONDS)
            if self._is_paused is not None and await self._is_paused():
                raise await self._put_back(context.task_id, PAUSED_SECONDS)
            known = self._table.get(name)
            if known is None or known.run is None:
                log.warning("a job that is not known here was put back", job=name, queue=self.name)
                raise await self._put_back(context.task_id, UNKNOWN_SECONDS)
            cause = JobDied() if context.tries > TRIES else await self._try(known, argument)
            if cause is None:
                return
            if isinstance(cause, asyncio.CancelledError):
                raise await self._put_back(context.task_id, RETRY_SECONDS)
            log.warning("job failed", job=name, tries=context.tries, cause=repr(cause))
            if context.tries < TRIES:
                raise _retry(RETRY_SECONDS * 4 ** (context.tries - 1))
            try:
                if self._on_dead is not None:
                    await self._on_dead(name, id, argument, cause)
            except StorageError:
                raise await self._put_back(context.task_id, RETRY_SECONDS) from None

        job.__qualname__ = FUNCTION
        return job

    async def _try(self, job: Job, argument: str) -> BaseException | None:
        """Why the job failed: CancelledError where this process is being stopped, None where it did not."""
        assert job.run is not None
        running = asyncio.ensure_future(job.run(argument))
        self._running.add(running)
        try:
            await asyncio.wait([running], timeout=job.seconds)
            if not running.done():
                await end([running])
                return TimeoutError(f"it took longer than {job.seconds:.0f} s")
            return asyncio.CancelledError() if running.cancelled() else running.exception()
        finally:
            running.cancel()
            self._running.discard(running)

    async def _put_back(self, task_id: str, seconds: float) -> StreaqRetry:
        """What to raise, for a try that does not count."""
        with contextlib.suppress(StorageError):
            await self._store.attempt(lambda: self._store.redis.decr(keys.job_tries(self.name, task_id)), 1.0)
        return _retry(seconds)


async def _leave_signals(scope: CancelScope) -> None:
    """streaq 7.2 does not heed ``handle_signals``: its own handler would take SIGTERM away from Parley's."""


def _retry(seconds: float) -> StreaqRetry:
    from streaq import StreaqRetry

    return StreaqRetry("it is to be tried again", delay=timedelta(seconds=seconds))
