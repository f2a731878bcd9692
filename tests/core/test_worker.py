"""The worker on a real server: every turn is closed by someone, and interruptions hit the turn that is meant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core import worker as worker_module
from core.conversation.mailbox import Admission, Bot, Mailbox
from core.conversation.turn import Turn, Work
from core.errors import LeaseLost
from core.inbox import Inbox
from core.message import Message, Platform
from core.parts import Ending, Finished, Notice, Part, Usage
from core.storage.client import Store
from core.storage.feedback import Feedback
from core.storage.keys import ConversationKeys
from core.storage.shared import Places
from core.tasks import end
from core.worker import Deliver, Delivered, Worker
from tests.builders import call, conversation, message, mover
from tests.core.engines import engine

Answer = Callable[[Turn], Awaitable[None]]


class Platforms:
    """Where answers are shown: ``meanwhile`` is what happens while one is."""

    def __init__(self, meanwhile: Answer) -> None:
        self.meanwhile = meanwhile
        self.begun = asyncio.Event()
        self.turns: list[Turn] = []
        self.said: list[str] = []
        self.reasons: list[str] = []

    async def __call__(self, turn: Turn, parts: AsyncGenerator[Part]) -> Delivered:
        self.turns.append(turn)
        self.begun.set()
        ending = Ending.BROKEN
        async for part in parts:
            if isinstance(part, Notice):
                self.said.append(part.key)
            elif isinstance(part, Finished):
                ending = part.ending
        await self.meanwhile(turn)
        self.reasons.append(turn.reason)
        return Delivered("", ending, Usage())


@asynccontextmanager
async def working(store: Store, deliver: Deliver, *, waiting: int = 20) -> AsyncGenerator[tuple[Worker, Mailbox]]:
    """A worker without any model, which therefore has a notice for every question."""
    mailbox = Mailbox(store, "w", admission=Admission(waiting), keep_days=1)
    async with engine(store, mailbox) as answering:
        worker = Worker(mailbox, answering, deliver, max_concurrent=5)
        for platform in Platform:
            worker.serve(Bot(platform, conversation().bot))
        listening = asyncio.create_task(worker.listen())
        try:
            yield worker, mailbox
        finally:
            await end([listening])
            await worker.drain(0)


async def idle() -> None:
    """Returns when no conversation is being answered."""
    async with asyncio.timeout(10):
        while any(task.get_name().startswith("conversation ") for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)


async def test_a_lease_that_was_only_late_is_taken_again_at_once(store: Store) -> None:
    async def meanwhile(turn: Turn) -> None:
        if turn.takeovers == 0:
            raise LeaseLost("not renewed in time")

    platforms = Platforms(meanwhile)
    async with working(store, platforms) as (worker, mailbox):
        await mailbox.post([message("a")])
        worker.wake(Work(conversation()))
        await idle()
        assert [turn.takeovers for turn in platforms.turns] == [0, 1]
        assert await mailbox.take(conversation()) is None


async def test_an_album_is_taken_up_once_it_is_whole(store: Store) -> None:
    async def meanwhile(turn: Turn) -> None:
        await mailbox.post([message("piece", "12", album="h")])

    platforms = Platforms(meanwhile)
    async with working(store, platforms) as (worker, mailbox):
        await mailbox.post([message("piece", "10", album="g")])
        worker.wake(Work(conversation()))
        await idle()
        assert platforms.turns == []
        await mailbox.post([message("piece", "11", album="g")])
        # Nobody sweeps here: it comes back to each of the albums by itself.
        async with asyncio.timeout(10):
            while len(platforms.turns) < 2:
                await asyncio.sleep(0.01)
        found = [turn.incoming for turn in platforms.turns]
        assert [value.also for value in found if isinstance(value, Message)] == [("11",), ()]


async def test_a_turn_that_another_worker_holds_is_left_to_it(store: Store) -> None:
    other = Mailbox(store, "other", admission=Admission(5), keep_days=1)

    async def meanwhile(turn: Turn) -> None:
        await mailbox.release(turn)
        assert await other.take(turn.conversation) is not None

    platforms = Platforms(meanwhile)
    async with working(store, platforms) as (worker, mailbox):
        await mailbox.post([message("a")])
        worker.wake(Work(conversation()))
        await idle()
        assert len(platforms.turns) == 1


async def test_what_can_never_be_shown_does_not_block_its_conversation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "RETRY_SECONDS", 0.01)

    async def meanwhile(turn: Turn) -> None:
        if isinstance(turn.incoming, Message):
            # Recorded as a whole, so that no model is asked again.
            await mailbox.about_to_create(turn, 0, "1", "the answer", Finished(Ending.COMPLETE))
            raise RuntimeError("a defect that this answer meets every time")

    platforms = Platforms(meanwhile)
    async with working(store, platforms) as (worker, mailbox):
        await mailbox.post([message("a"), call("new")])
        worker.wake(Work(conversation()))
        await idle()
        assert [turn.takeovers for turn in platforms.turns] == [0, 1, 2, 3, 4, 0]
        assert platforms.said[-2:] == ["crashed", "new"]


async def test_an_edit_does_not_interrupt_its_own_answer(store: Store, valkey_socket: Path, tmp_path: Path) -> None:
    """The turn of the edit may be open before the one who posted it gets to interrupt the turn before."""
    posted, asked = asyncio.Event(), asyncio.Event()
    interrupted = asyncio.Event()

    async def meanwhile(turn: Turn) -> None:
        if isinstance(turn.incoming, Message) and turn.incoming.edited:
            asked.set()
            await interrupted.wait()
        else:
            await posted.wait()

    # Noting the place takes as long as this store is away.
    socket = tmp_path / "later.sock"
    slow = Store(f"unix://{socket}")
    here = conversation(platform=Platform.DISCORD)
    platforms = Platforms(meanwhile)
    async with working(store, platforms) as (worker, mailbox):
        inbox = Inbox(mailbox, worker, Places(slow), mover(store), Feedback(store, keep_days=1))
        await mailbox.post([message("before", id="1", conversation=here)])
        worker.wake(Work(here))
        await asyncio.wait_for(platforms.begun.wait(), 10)
        accepting = asyncio.create_task(inbox.accept([message("after", id="1", conversation=here, edited=True)]))
        async with asyncio.timeout(10):
            while not await store.redis.hexists(ConversationKeys.of(here).turn, "interrupt"):
                await asyncio.sleep(0.01)
        posted.set()
        await asyncio.wait_for(asked.wait(), 10)
        socket.symlink_to(valkey_socket)
        await accepting
        interrupted.set()
        await idle()
    assert platforms.reasons[-1] == ""
    await slow.close()


async def test_a_stop_ends_the_turn_that_was_open_when_it_came(store: Store) -> None:
    ended = asyncio.Event()

    async def meanwhile(turn: Turn) -> None:
        if isinstance(turn.incoming, Message):
            await turn.interrupted.wait()
            ended.set()

    platforms = Platforms(meanwhile)
    async with working(store, platforms) as (worker, mailbox):
        inbox = Inbox(mailbox, worker, Places(store), mover(store), Feedback(store, keep_days=1))
        await inbox.accept([message("a")])
        await asyncio.wait_for(platforms.begun.wait(), 10)
        await inbox.accept([call("stop")])
        await asyncio.wait_for(ended.wait(), 10)
        await idle()
    assert platforms.reasons == [Ending.STOPPED, ""]
    assert platforms.said[-1] == "stopped"


async def test_an_answer_made_anew_keeps_its_messages_over_a_crash(store: Store) -> None:
    async def meanwhile(turn: Turn) -> None:
        assert isinstance(turn.incoming, Message)
        if not turn.incoming.edited:
            await mailbox.created(turn, 0, "page0")
        elif turn.takeovers == 0:
            await mailbox.created(turn, 1, "page1")
            raise LeaseLost("the worker died")

    platforms = Platforms(meanwhile)
    async with working(store, platforms) as (worker, mailbox):
        for text in ("question", "better question"):
            await mailbox.post([message(text, id="1", edited=text != "question")])
            worker.wake(Work(conversation()))
            await idle()
    assert platforms.turns[-1].takeovers == 1
    assert platforms.turns[-1].pages == {0: "page0", 1: "page1"}


async def test_an_edit_takes_over_what_a_crash_left_of_the_answer_before(store: Store) -> None:
    async def meanwhile(turn: Turn) -> None:
        assert isinstance(turn.incoming, Message)
        if not turn.incoming.edited and turn.takeovers == 0:
            await mailbox.created(turn, 0, "page0")
            await mailbox.post([message("after", id="1", edited=True)])
            raise LeaseLost("the worker died")

    platforms = Platforms(meanwhile)
    async with working(store, platforms) as (worker, mailbox):
        await mailbox.post([message("before", id="1")])
        worker.wake(Work(conversation()))
        await idle()
    assert [turn.pages for turn in platforms.turns] == [{0: "page0"}] * 3
