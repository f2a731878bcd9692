"""An engine in its thread: given up, out of memory, disk full, tried again."""

from __future__ import annotations

import asyncio
import errno
import threading
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from core.models.servers.work import (
    Answer,
    CancelledByCaller,
    Embed,
    Engine,
    EngineError,
    Request,
    Telling,
    Vectors,
    refused,
)
from core.models.servers.workbench import MAX_WAITING, Done, Event, Workbench


@dataclass
class Counting:
    """Counts until nobody wants it any more; as far as it is told to."""

    upto: int = 3
    failure: Exception | None = None
    was_given_up: threading.Event = field(default_factory=threading.Event)
    may_go: threading.Event = field(default_factory=threading.Event)
    models: tuple[str, ...] = ()

    def work(self, request: Request, telling: Telling) -> Answer:
        if self.failure is not None:
            raise self.failure
        for step in range(self.upto):
            try:
                telling.step(step, self.upto)
            except CancelledByCaller:
                self.was_given_up.set()
                raise
            self.may_go.wait(5)
        return Vectors(())


async def everything(bench: Workbench) -> list[Event]:
    async with aclosing(bench.work(Embed(("x",)))) as events:
        return [event async for event in events]


async def test_steps_come_while_it_works_and_the_answer_last() -> None:
    engine = Counting()
    engine.may_go.set()
    assert await everything(Workbench(lambda: engine)) == [Done(0, 3), Done(1, 3), Done(2, 3), Vectors(())]


async def test_what_nobody_wants_ends_at_its_next_step_and_the_next_one_is_done() -> None:
    engine = Counting(upto=1000)
    bench = Workbench(lambda: engine)
    async with aclosing(bench.work(Embed(("x",)))) as events:
        assert await anext(events) == Done(0, 1000)
        # This one only waits: it is never begun.
        waiting = asyncio.create_task(everything(bench))
        await asyncio.sleep(0)
        waiting.cancel()
    engine.may_go.set()
    assert await asyncio.to_thread(engine.was_given_up.wait, 5)
    engine.upto = 1
    assert len(await everything(bench)) == 2
    assert bench.waiting == 0


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (MemoryError(), "out_of_memory", "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "out_of_memory", "not enough memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "engine_failed", "No space left on device"),
        (RuntimeError("size mismatch"), "engine_failed", "RuntimeError: size mismatch"),
        (refused("Only digits.", "unsupported_prompt", param="0, 1"), "unsupported_prompt", "Only digits."),
    ],
)
async def test_failures_are_sentences(failure: Exception, code: str, told: str) -> None:
    with pytest.raises(EngineError, match=told) as error:
        await everything(Workbench(lambda: Counting(failure=failure)))
    assert error.value.code == code


async def test_engine_that_could_not_be_opened_is_opened_again() -> None:
    tries = 0

    def open_engine() -> Engine:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        engine = Counting(upto=0)
        engine.may_go.set()
        return engine

    bench = Workbench(open_engine)
    with pytest.raises(EngineError, match="No space left"):
        await everything(bench)
    assert await everything(bench) == [Vectors(())]


async def test_too_much_work_is_refused() -> None:
    engine = Counting(upto=1)
    bench = Workbench(lambda: engine)
    waiting = [asyncio.create_task(everything(bench)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(EngineError) as error:
        await everything(bench)
    assert error.value.status == 429
    engine.may_go.set()
    await asyncio.gather(*waiting)
