"""Conversations that go on under another key, on a real server: all of it, once, in order, whatever dies on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from core.conversation import moving
from core.conversation.history import Answer, History, Mode, Path, Question
from core.conversation.mailbox import Admission, Bot, Mailbox, Posted
from core.conversation.moving import Mover
from core.conversation.preferences import Preferences
from core.conversation.turn import Turn
from core.errors import LeaseLost, StorageError
from core.message import Attachment, AttachmentKind, ConversationKey, Message, Platform, Quote
from core.moderation.cases import Case, CaseKind, space_at
from core.parts import Ending
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.failed import DeadLetters, Failure, Kind, Retried
from core.storage.keys import ConversationKeys, load, moves
from core.storage.orders import Orders
from core.tasks import end
from tests.builders import call, conversation, message, mover

OLD, NEW = conversation("-4001"), conversation("-100777")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "LOOK_SECONDS", 0.02)


class Group:
    """A group's conversation, its people and its worker."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.mailbox = Mailbox(store, "w", admission=Admission(10), keep_days=30)
        self.history = History(store, keep_days=30, max_messages=1000)
        self._answers = 500

    async def post(self, text: str, id: str, **values: Any) -> Posted:
        values = {"conversation": OLD, "space": "-4001", "private": False, **values}
        return (await self.mailbox.post([message(text, id, **values)]))[0]

    async def take(self, key: Any = NEW) -> Turn:
        turn = await self.mailbox.take(key)
        assert turn is not None
        return turn

    async def path(self, turn: Turn, mode: Mode = Mode.ASK) -> Path:
        asked = turn.incoming
        assert isinstance(asked, Message)
        question = Question.of(asked, ("digest",))
        path = await self.history.path(turn, mode, question, id=asked.id, reply_to=asked.reply_to, window=9999)
        assert path is not None
        turn.question = path.question
        return path

    async def finish(self, turn: Turn, answer: str, ending: Ending = Ending.COMPLETE) -> Turn | None:
        self._answers += 2
        turn.pages = {0: str(self._answers), 1: str(self._answers + 1)}
        payload = Answer(answer, tuple(turn.pages.values()), ending).to_payload()
        return await self.mailbox.finish(turn, payload, 1)

    async def talk(self, *questions: str, key: Any = OLD) -> None:
        """Each is asked and answered; ids count from 11."""
        for number, text in enumerate(questions):
            await self.post(text, str(11 + number))
            turn = await self.take(key)
            await self.path(turn)
            await self.finish(turn, f"re:{text}")

    async def moved(self) -> None:
        async with asyncio.timeout(10):
            while await self.store.redis.exists(moves()):
                await asyncio.sleep(0.01)


@pytest.fixture
def group(store: Store) -> Group:
    return Group(store)


@asynccontextmanager
async def carrying(*movers: Mover) -> AsyncGenerator[None]:
    tasks = [asyncio.create_task(one.run()) for one in movers]
    try:
        yield
    finally:
        await end(tasks)


async def relocated(group: Group) -> None:
    one = mover(group.store)
    await one.begin(OLD, NEW)
    async with carrying(one):
        await group.moved()


async def test_the_cases_of_the_group_move_along(group: Group) -> None:
    """With their numbers, which moderators have been told."""
    cases = Cases(group.store, keep_days=1)
    old, new = space_at(OLD, OLD.chat), space_at(NEW, NEW.chat)

    async def warn(space: str, account: str, call: str) -> int:
        return await cases.make(space, Case(CaseKind.WARN, account, "Bob", "2", "Mo", call, 1.0), call)

    assert [await warn(old, account, f"call{n}") for n, account in enumerate(("5", "6", "5"))] == [1, 2, 3]
    await relocated(group)
    count, found = await cases.of(new, "5")
    assert (count, [case.number for case in found]) == (2, [3, 1])
    assert await cases.of(old, "5") == (0, [])
    assert await warn(new, "6", "next") == 4
    assert [case.number for case in (await cases.of(new, "6"))[1]] == [4, 2]


async def test_what_messages_show_that_was_made_is_known_in_the_other_chat(group: Group) -> None:
    orders = Orders(group.store)
    await orders.shown(OLD, ["21", "22"], "telegram:5", "the order", 500)
    await orders.shown(NEW, ["9"], "telegram:5", "a newer order", 900)
    await relocated(group)
    for id, order in (("-4001/21", "the order"), ("-4001/22", "the order"), ("9", "a newer order"), ("21", "")):
        assert await orders.shown_by(NEW, id) == order
    assert await orders.shown_by(OLD, "21") == ""
    assert 800 < await group.store.redis.ttl(ConversationKeys.of(NEW).made) <= 900
    # What a person has made for them is found there as well.
    assert (await group.store.redis.hget(ConversationKeys.of(NEW).made, "-4001/21") or "").startswith("telegram:5\t")
    # Once more, as another process would: nothing is lost.
    await orders.move_shown(OLD, NEW)
    assert await orders.shown_by(NEW, "-4001/22") == "the order"


def topic(thread: str) -> ConversationKey:
    return replace(NEW, thread=thread)


def said(path: Path) -> Sequence[str]:
    return [node.said.text for node in path.nodes]


async def test_what_was_said_chosen_and_waits_goes_along(store: Store, group: Group) -> None:
    await group.talk("a", "b")
    await group.history.choose(OLD, "model", "big")
    await group.history.put_image(OLD, "digest", "data")
    quote = Quote("11", "Ada", "a")
    await group.post("c", "15", reply_to="11", quote=quote)
    await group.post("d", "16")
    await group.mailbox.post([call("help", conversation=OLD, space="-4001")])
    await relocated(group)

    turn = await group.take()
    assert isinstance(turn.incoming, Message)
    assert (turn.conversation, turn.incoming.space) == (NEW, "-100777")
    assert (turn.incoming.id, turn.incoming.reply_to) == ("-4001/15", "-4001/11")
    assert turn.incoming.quote == Quote("-4001/11", "Ada", "a")
    assert turn.preferences.model == "big"
    assert said(await group.path(turn)) == ["a", "c"], "the reply branches where it did before"
    following = await group.finish(turn, "re:c")
    assert following is not None
    assert said(await group.path(following)) == ["a", "c", "re:c", "d"]
    last = await group.finish(following, "re:d")
    assert last is not None
    assert await group.finish(last, "") is None
    assert await group.history.get_images(NEW, ["digest"]) == ["data"]
    await group.post("e", "15", conversation=NEW, reply_to="-4001/12")
    turn = await group.take()
    assert said(await group.path(turn)) == ["a", "re:a", "b", "e"], "an id of the new chat's own, and one of the old"


async def test_nothing_is_left_behind(store: Store, group: Group) -> None:
    await group.talk("a")
    await group.post("b", "12")
    await relocated(group)
    old = ConversationKeys.of(OLD)
    assert await store.redis.exists(old.box, old.tree, old.order, old.turn, old.notices) == 0
    assert await store.redis.zscore(old.ready, old.name) is None
    counts = [await store.redis.hgetall(load(partition)) for partition in range(16)]
    assert [count for count in counts if count] == [{"": "1", "-100777": "1"}]
    assert await group.history.preferences(OLD) == Preferences()
    assert await group.mailbox.take(OLD) is None


async def test_an_answer_made_anew_is_a_new_message(group: Group) -> None:
    await group.talk("a")
    await relocated(group)
    await group.mailbox.post([call("regenerate", conversation=NEW, reply_to="-4001/503")])
    turn = await group.take()
    asked = message("", turn.incoming.id, conversation=NEW, reply_to="-4001/503")
    path = await group.history.path(
        turn, Mode.AGAIN, Question.of(asked), id=asked.id, reply_to=asked.reply_to, window=99
    )
    assert path is not None
    assert path.question == "-4001/11"
    assert path.previous is not None
    assert (path.previous.text, path.previous.pages) == ("re:a", ())


async def test_what_comes_meanwhile_is_answered_after_what_waited(group: Group) -> None:
    await group.talk("a")
    await group.post("b", "12")
    one = mover(group.store)
    await one.begin(OLD, NEW)
    await group.post("c", "1", conversation=NEW, space="-100777")
    waits: list[float] = []
    assert await group.mailbox.take(NEW, waits.append) is None, "its past is not there yet"
    assert 0 < waits[0] <= moving.HOLD_SECONDS
    async with carrying(one):
        await group.moved()
    async with asyncio.timeout(10):
        while NEW not in [w.conversation for w in await group.mailbox.wake_ups([Bot(Platform.TELEGRAM, "1")], 9)]:
            pass
    turn = await group.take()
    assert said(await group.path(turn)) == ["a", "re:a", "b"]
    following = await group.finish(turn, "re:b")
    assert following is not None
    assert said(await group.path(following)) == ["a", "re:a", "b", "re:b", "c"]


async def test_a_past_that_does_not_come_is_not_waited_for(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "HOLD_SECONDS", 0.05)
    await group.talk("a")
    await mover(group.store).begin(OLD, NEW)
    await group.post("b", "1", conversation=NEW)
    await asyncio.sleep(0.06)
    turn = await group.take()
    async with carrying(mover(group.store)):
        await group.moved()
    assert await group.finish(turn, "re:b") is None, "whoever has it keeps it"


async def test_the_open_turn_is_begun_anew(group: Group) -> None:
    await group.talk("a")
    await group.post("b", "12")
    await group.post("c", "13")
    turn = await group.take(OLD)
    await group.path(turn)
    one = mover(group.store)
    async with carrying(one):
        await one.begin(OLD, NEW)
        await group.mailbox.renew([turn])
        assert turn.reason == "moved"
        await group.post("d", "1", conversation=NEW)
        assert await group.finish(turn, "half", Ending.SUPERSEDED) is None
        await group.moved()
    following: Turn | None = await group.take()
    asked: list[str] = []
    while following is not None:
        asked.append(said(await group.path(following))[-1])
        following = await group.finish(following, "")
    assert asked == ["b", "c", "d"]


@pytest.mark.parametrize("reason", ["", "stopped", "complete"])
async def test_a_turn_that_needs_no_answer_is_not_begun_anew(group: Group, reason: str) -> None:
    await group.post("b", "12")
    turn = await group.take(OLD)
    if reason == "stopped":
        stop = call("stop", conversation=OLD)
        await group.mailbox.post([stop], [stop.id])
    await mover(group.store).begin(OLD, NEW)
    await group.finish(turn, "whole", Ending.COMPLETE if reason != "stopped" else Ending.STOPPED)
    async with carrying(mover(group.store)):
        await group.moved()
    waiting = await group.mailbox.take(NEW)
    assert (waiting.incoming.id[:4] if waiting else "") == ("call" if reason == "stopped" else "")


@pytest.mark.parametrize("lease_runs_on", [False, True])
async def test_the_turn_of_a_dead_worker(group: Group, lease_runs_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "TURN_SECONDS", 0.1)
    if not lease_runs_on:
        monkeypatch.setattr("core.conversation.mailbox.LEASE_SECONDS", 0.01)
        monkeypatch.setattr(moving, "TURN_SECONDS", 60)
    await group.post("b", "12")
    turn = await group.take(OLD)
    await relocated(group)
    with pytest.raises(LeaseLost):
        await group.mailbox.created(turn, 0, "99")
    assert (await group.take()).incoming.id == "-4001/12"


async def test_told_twice_by_two_processes_it_is_one_move(group: Group) -> None:
    await group.talk("a")
    await group.post("b", "12")
    one, other = mover(group.store, "one"), mover(group.store, "other")
    async with carrying(one, other):
        await asyncio.gather(one.begin(OLD, NEW), other.begin(OLD, NEW))
        await group.moved()
        turn = await group.take()
        assert await group.finish(turn, "re:b") is None
        await one.begin(OLD, NEW)
        await group.moved()
        await group.post("c", "1", conversation=NEW)
        turn = await group.take()
    assert said(await group.path(turn))[-1] == "c", "a late word of it holds nothing up"
    assert await group.finish(turn, "re:c") is None


class _Died(StorageError):
    """In place of a process that ends."""


@pytest.mark.parametrize("step", ["_take_out", "_copy", "_put_in", "_clear"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_dies_on_the_way(
    group: Group, step: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await group.talk("a")
    await group.post("b", "12")
    died = asyncio.Event()
    real = getattr(Mover, step)

    async def dies(self: Mover, *arguments: Any) -> None:
        if when == "after":
            await real(self, *arguments)
        died.set()
        raise _Died

    await mover(group.store).begin(OLD, NEW)
    with monkeypatch.context() as patch:
        patch.setattr(Mover, step, dies)
        async with carrying(mover(group.store, "dies")):
            await asyncio.wait_for(died.wait(), 10)
    async with carrying(mover(group.store, "next")):
        await group.moved()
    turn = await group.take()
    assert said(await group.path(turn)) == ["a", "re:a", "b"]
    assert await group.finish(turn, "re:b") is None
    assert await group.mailbox.take(OLD) is None


async def test_what_still_comes_for_the_old_chat_goes_to_the_new_one(group: Group) -> None:
    before = message("a", "11", conversation=OLD)
    assert await group.mailbox.post([before]) == [Posted.ACCEPTED]
    await relocated(group)
    late = message("late", "14", conversation=OLD)
    assert await group.mailbox.post([before, late, late]) == [Posted.SEEN, Posted.ACCEPTED, Posted.SEEN]
    turn = await group.finish(await group.take(), "")
    assert turn is not None
    assert (turn.incoming.conversation, turn.incoming.id) == (NEW, "-4001/14")


async def test_an_album_that_waits_is_whole(group: Group) -> None:
    picture = Attachment(AttachmentKind.IMAGE, "ref")
    for id in ("12", "13"):
        await group.post("look" if id == "12" else "", id, album="7", attachments=(picture,))
    await relocated(group)
    asked = (await group.take()).incoming
    assert isinstance(asked, Message)
    assert (asked.id, asked.also, len(asked.attachments)) == ("-4001/12", ("-4001/13",), 2)


async def test_a_dead_letter_of_the_old_chat_is_answered_in_the_new_one(store: Store, group: Group) -> None:
    await group.post("a", "11")
    turn = await group.take(OLD)
    await group.mailbox.finish(turn, "{}", 1, Failure(Kind.MODEL, ("down",)))
    await relocated(group)
    letters = DeadLetters(store, keep_days=1)
    (id,) = await letters.ids()
    assert [await letters.retry(id, lambda call: True) for _ in range(2)] == [Retried.RETRIED, Retried.GONE]
    turn = await group.take()
    assert (turn.incoming.id, turn.incoming.space) == ("-4001/11", "-100777")
    assert await group.finish(turn, "") is None


async def test_a_damaged_message_holds_nothing_up(store: Store, group: Group) -> None:
    await group.talk("a", "b")
    damaged = {"8": "?", "9": "\t0\t1\tq\t{broken", "=": "=", "@8": ""}
    await store.redis.hset(ConversationKeys.of(OLD).tree, mapping=damaged)
    await group.post("c", "13")
    await relocated(group)
    assert said(await group.path(await group.take())) == ["a", "re:a", "b", "re:b", "c"]


async def test_a_damaged_entry_is_told_of_there(store: Store, group: Group) -> None:
    await group.post("a", "11")
    await store.redis.lset(ConversationKeys.of(OLD).box, 0, "{broken")
    await relocated(group)
    assert (await group.take()).unreadable


async def test_the_notice_for_what_was_too_many(group: Group) -> None:
    for number in range(13):
        await group.post("flood", str(20 + number))
    await relocated(group)
    turn: Turn | None = await group.take()
    overflows: list[int] = []
    while turn is not None:
        overflows.append(turn.overflow)
        turn = await group.finish(turn, "")
    assert overflows == [0] * 10 + [3]


async def test_who_is_put_out_hears_nothing_more(store: Store, group: Group) -> None:
    topics = [
        conversation("-100777") if n == 0 else NEW.__class__(NEW.platform, "1", "-100777", str(n)) for n in range(3)
    ]
    other = conversation("-1007770")
    for key in (*topics, other):
        await group.post("a", "1", conversation=key, space=key.chat)
        await group.post("b", "2", conversation=key, space=key.chat)
    turn = await group.take(topics[1])
    assert await group.mailbox.leave(NEW, chat=True) == 5
    await group.mailbox.renew([turn])
    assert turn.reason == "left"
    assert await group.finish(turn, "", Ending.SUPERSEDED) is None
    assert [await group.mailbox.take(key) for key in topics] == [None] * 3
    assert (await group.take(other)).incoming.id == "1"
    counts = [await store.redis.hgetall(load(partition)) for partition in range(16)]
    assert [count for count in counts if count] == [{"": "1", "-1007770": "1"}]
    await group.post("back", "9", conversation=NEW)
    assert (await group.take(NEW)).incoming.id == "9"


async def test_one_conversation_is_left_alone(group: Group) -> None:
    longer = topic("55")
    shorter = topic("5")
    for key in (longer, shorter):
        await group.post("a", "1", conversation=key)
    assert await group.mailbox.leave(shorter) == 1
    assert (await group.take(longer)).incoming.id == "1"
