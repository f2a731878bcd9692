"""Whatever is ordered ends: told, handed out or forgotten, and leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.creations.creations import Creations
from core.creations.doing import MADE, update_of
from core.creations.order import Commission
from core.message import Deletion
from core.parts import Ending, Finished, Notice
from core.people.made import Made
from core.people.privacy import Subject
from core.storage.client import Store
from core.storage.orders import Orders
from core.tasks import end
from tests.builders import conversation
from tests.core.creations.test_creations import Kiln, kiln, lasting, quick, read, turn_of

__all__ = ["kiln", "quick"]


async def _keys(store: Store) -> list[str]:
    return [key async for key in store.redis.scan_iter("parley:*creation*")]


async def _being_made(kiln: Kiln, number: str = "1") -> asyncio.Task[object]:
    """An order that a job has begun, and who follows it."""
    kiln.ready.clear()
    following = asyncio.create_task(read(kiln.order(turn_of(number), [b"a drawing"])))
    while not kiln.commissions:
        await asyncio.sleep(0.005)
    return following


@pytest.mark.parametrize("ends_first", [True, False])
async def test_of_what_is_erased_while_it_is_made_nothing_is_left(kiln: Kiln, ends_first: bool) -> None:
    account = "telegram:7"

    async def erase(commission: Commission) -> None:
        nonlocal account
        account = commission.order.account
        if ends_first:
            await Made(kiln.store).erase(Subject("p", (account,)))

    kiln.on_make = erase
    following = await _being_made(kiln)
    if not ends_first:
        await Made(kiln.store).erase(Subject("p", (account,)))
    else:
        kiln.ready.set()
    await asyncio.wait_for(asyncio.wait(kiln.jobs), 5)
    assert lasting(await following)[0] == Notice("creation_gone")  # type: ignore[arg-type]
    assert await _keys(kiln.store) == []


async def test_a_word_about_what_is_gone_brings_nothing_back(kiln: Kiln) -> None:
    kiln.ready.clear()
    following = await _being_made(kiln)
    (commission,) = kiln.commissions
    await end(kiln.jobs)
    await end([following])
    await Made(kiln.store).erase(Subject("p", (commission.order.account,)))
    await commission.remember("the provider's job")
    await Orders(kiln.store).told_by(commission.order.id, "9")
    assert await _keys(kiln.store) == []


async def test_what_no_process_makes_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kiln, turn = Kiln(store, follow_seconds=0.0, works=False), turn_of()
    assert Notice("comes_later") in await read(kiln.order(turn))
    await kiln.creations.tend()
    assert kiln.posted == []
    monkeypatch.setattr("core.creations.doing.MOST_WAIT_SECONDS", 0)
    await kiln.creations.tend()
    await kiln.process().tend()
    (call,) = kiln.posted
    assert (call.name, call.update) == (MADE, update_of(turn.id))
    told = [part async for part in kiln.creations.shown(turn.id)]
    assert told == [Notice("creation_unmade", {"count": 0}), Finished(Ending.COMPLETE)]
    assert await kiln.creations.in_the_making(turn.conversation, "telegram:7") == []
    await asyncio.wait_for(kiln.work(turn.id), 5)
    assert kiln.runs == 0


async def test_what_was_made_is_tended_no_more(kiln: Kiln, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.creations.doing.MOST_WAIT_SECONDS", 0)
    await read(kiln.order(turn_of()))
    await asyncio.wait_for(asyncio.wait(kiln.jobs), 5)
    assert await kiln.store.redis.keys("parley:{creations}:*") == []


async def test_a_conversation_has_so_much_in_the_making_and_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("core.storage.orders", "core.creations.creations"):
        monkeypatch.setattr(f"{module}.MOST_MAKING", 2)
    kiln = Kiln(store, follow_seconds=0.0, works=False)
    for number in ("1", "2", "1"):
        assert Notice("comes_later") in await read(kiln.order(turn_of(number)))
    before = await _keys(store)
    assert await read(kiln.order(turn_of("3"), [b"a drawing"])) == [
        Notice("creations_many", {"count": 2}),
        Finished(Ending.COMPLETE),
    ]
    assert sorted(await _keys(store)) == sorted(before)


async def test_what_is_stopped_is_not_listed_as_being_made(store: Store) -> None:
    kiln, turn = Kiln(store, follow_seconds=0.0, works=False), turn_of()
    await read(kiln.order(turn))
    account = await kiln.creations.asker_of(turn.id)
    assert len(await kiln.creations.in_the_making(turn.conversation, account)) == 1
    assert await kiln.creations.stop(turn.id)
    assert await kiln.creations.in_the_making(turn.conversation, account) == []


@pytest.mark.parametrize("deleted", ["5", "901"])
async def test_what_is_made_for_a_deleted_message_is_made_no_further(store: Store, deleted: str) -> None:
    kiln = Kiln(store, follow_seconds=0.0)
    await asyncio.wait_for(await _being_made(kiln), 5)
    turn = turn_of()
    turn.pages, turn.creations = {0: "901"}, [turn.id]
    await kiln.creations.delivered(turn)
    await Mailbox(store, "w", Admission(), keep_days=1).forget(Deletion(conversation(), (deleted,), "d"))
    await asyncio.wait_for(kiln.closed.wait(), 5)
    await asyncio.wait_for(asyncio.wait(kiln.jobs), 5)
    assert kiln.posted == []
    assert await _keys(store) == []


async def test_a_turn_that_ended_while_its_worker_was_dead_leaves_nothing_in_the_making(kiln: Kiln) -> None:
    following = await _being_made(kiln)
    await end([following])
    turn = turn_of()
    turn.interrupt("stopped")
    other: Creations = kiln.process()
    await other.abandon(turn)
    await asyncio.wait_for(kiln.closed.wait(), 5)


async def test_what_was_promised_comes_however_many_wait(store: Store) -> None:
    from tests.builders import message

    kiln = Kiln(store, follow_seconds=0.0, works=False)
    mailbox = Mailbox(store, "w", Admission(1, 1, 1), keep_days=1)
    await mailbox.post([message("a", id="1"), message("b", id="2")])
    turn = turn_of()
    await read(kiln.order(turn))
    kiln.post = lambda calls: mailbox.post(calls, is_owed=True)
    kiln.creations = kiln.process()
    await asyncio.wait_for(kiln.work(turn.id), 5)
    taken = [update async for update in _updates(mailbox)]
    assert update_of(turn.id) in taken


async def _updates(mailbox: Mailbox):
    turn = await mailbox.take(conversation())
    while turn is not None:
        yield turn.incoming.update
        turn = await mailbox.finish(turn, "{}", 1)
