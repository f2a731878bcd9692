"""An engine in its thread, asked from the event loop: one piece of work after the other."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from core.models.servers.work import Answer, CancelledByCaller, Engine, EngineError, Request, refused

MAX_WAITING = 32
"""Pieces of work that may wait; the gateways make people wait in line before that."""
GIVE_UP_SECONDS = 120.0
"""An engine that goes on for so long with what nobody wants any more hangs: the process ends, and is started anew."""
HUNG = 75
"""Exit code of that."""


@dataclass(frozen=True, slots=True)
class Done:
    """So many steps of all."""

    step: int
    steps: int


Event = Done | bytes | Answer
"""How far it is; a picture on the way; the answer, last."""


class Workbench:
    """Opens its engine at the first piece of work; again with the next one, where that failed."""

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._open_engine = open_engine
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self.waiting = 0
        """Pieces of work, the one under way among them."""

    async def work(self, request: Request) -> AsyncGenerator[Event]:
        """Closing it gives the work up, at the engine's next step. Raises EngineError."""
        if self.waiting >= MAX_WAITING:
            raise EngineError("Too much work is waiting.", "busy", status=429)
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        order = _Order(lambda event: loop.call_soon_threadsafe(events.put_nowait, event))
        self.waiting += 1
        future = self._thread.submit(self._run, request, order)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._ended, events))
        try:
            while (event := await events.get()) is not None:
                yield event
            yield _result(future)
        finally:
            order.is_unwanted.set()
            if not future.cancel() and not future.done():
                loop.call_later(GIVE_UP_SECONDS, _give_up, future)

    async def models(self) -> Sequence[str]:
        """What a loaded engine answers for; nothing is loaded for it."""
        return self._engine.models if self._engine is not None else ()

    def _ended(self, events: asyncio.Queue[Event | None]) -> None:
        self.waiting -= 1
        events.put_nowait(None)

    def _run(self, request: Request, order: _Order) -> Answer:
        if self._engine is None:
            self._engine = self._open_engine()
        engine = self._engine
        model = getattr(request, "model", "")
        if model and engine.models and model not in engine.models:
            raise refused(f"There is no model {model!r} here.", "model_not_found", param=", ".join(engine.models))
        return engine.work(request, order)


@dataclass(frozen=True, slots=True)
class _Order:
    """A piece of work, seen from the engine's thread."""

    tell: Callable[[Event], object]
    is_unwanted: threading.Event = field(default_factory=threading.Event)

    def step(self, step: int, steps: int) -> None:
        self._tell(Done(step, steps))

    def partial(self, picture: bytes) -> None:
        self._tell(picture)

    def _tell(self, event: Event) -> None:
        if self.is_unwanted.is_set():
            raise CancelledByCaller
        self.tell(event)


def _result(future: Future[Answer]) -> Answer:
    """Raises EngineError with a sentence for whatever went wrong."""
    try:
        return future.result()
    except EngineError:
        raise
    except MemoryError:
        raise EngineError("There is not enough memory for it.", "out_of_memory") from None
    except OSError as error:
        raise EngineError(f"The engine could not read or write its files: {error.strerror or error}.") from error
    except Exception as error:
        if "out of memory" in str(error).lower() or "can't allocate" in str(error).lower():
            raise EngineError("There is not enough memory for it.", "out_of_memory") from None
        raise EngineError(f"The engine failed ({type(error).__name__}: {str(error)[:300]}).") from error


def _give_up(future: Future[Answer]) -> None:
    if not future.done():
        os._exit(HUNG)
