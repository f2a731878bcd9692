"""The mailbox on a real server: durable, once, in order, one holder at a time."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from core.conversation import mailbox as mailbox_module
from core.conversation.mailbox import Admission, Bot, Mailbox, Posted
from core.conversation.turn import Turn, Work
from core.errors import LeaseLost, StorageError
from core.message import Author, ConversationKey, Deletion, Message, Platform
from core.parts import Ending, Finished, Usage
from core.storage.client import Store
from core.storage.keys import ConversationKeys, partition_of, served
from tests.builders import ADA, call, conversation, message

BOT = Bot(Platform.TELEGRAM, "1")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_module, "LISTEN_SECONDS", 0.2)


def box(store: Store, worker: str = "w1", max_waiting: int = 5) -> Mailbox:
    return Mailbox(store, worker, admission=Admission(max_waiting), keep_days=30)


async def take(mailbox: Mailbox, chat: str = "100") -> Turn:
    turn = await mailbox.take(conversation(chat))
    assert turn is not None
    return turn


def _same_partition(number: int) -> ConversationKey:
    """One of many conversations that share a partition."""
    chats = (conversation(str(chat)) for chat in itertools.count(1000))
    return next(itertools.islice((key for key in chats if partition_of(str(key)) == 0), number, None))


async def finish(mailbox: Mailbox, turn: Turn) -> Turn | None:
    return await mailbox.finish(turn, "{}", 1)


async def test_a_value_comes_out_as_it_went_in(store: Store) -> None:
    mailbox = box(store)
    sent = message("héllo\n世界 \U0001f600", author=Author("9", 'A "quoted" name', language="zh"))
    await mailbox.post([sent])
    assert (await take(mailbox)).incoming == sent


async def test_turns_come_oldest_first_and_then_none(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message(text) for text in "abc"])
    turn: Turn | None = await take(mailbox)
    seen: list[str] = []
    while turn is not None:
        assert isinstance(turn.incoming, Message)
        seen.append(turn.incoming.text)
        turn = await finish(mailbox, turn)
    assert seen == ["a", "b", "c"]
    assert await mailbox.take(conversation()) is None
    assert await mailbox.waiting([BOT]) == []


async def test_an_update_is_accepted_once(store: Store) -> None:
    mailbox = box(store)
    first = message()
    assert await mailbox.post([first, first]) == [Posted.ACCEPTED, Posted.SEEN]
    assert await mailbox.post([first]) == [Posted.SEEN]
    assert await finish(mailbox, await take(mailbox)) is None


async def test_one_notice_stands_for_all_that_are_too_many(store: Store) -> None:
    mailbox = box(store, max_waiting=3)
    posted = await mailbox.post([message(str(n)) for n in range(1000)])
    assert posted.count(Posted.ACCEPTED) == 3
    assert posted.count(Posted.FULL) == 997
    turn: Turn | None = await take(mailbox)
    overflows: list[int] = []
    while turn is not None:
        overflows.append(turn.overflow)
        turn = await finish(mailbox, turn)
    assert overflows == [0, 0, 0, 997]


async def test_a_second_worker_is_held_off_until_the_lease_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_module, "LEASE_SECONDS", 0.2)
    first, second = box(store, "w1"), box(store, "w2")
    await first.post([message("a")])
    stale = await take(first)
    assert await second.take(conversation()) is None
    assert await second.waiting([BOT]) == []
    monkeypatch.setattr(mailbox_module, "HEARD_SECONDS", 0.0)
    await asyncio.sleep(0.25)
    assert await second.waiting([BOT]) == [Work(conversation())]
    turn = await take(second)
    assert turn.takeovers == 1
    assert turn.incoming == stale.incoming
    assert turn.id == stale.id
    # Everything the first one still tries is refused.
    with pytest.raises(LeaseLost):
        await first.created(stale, 0, "77")
    with pytest.raises(LeaseLost):
        await finish(first, stale)
    with pytest.raises(LeaseLost):
        await first.release(stale)
    await first.renew([stale])
    assert stale.interrupted.is_set()
    with pytest.raises(LeaseLost):
        stale.check_lease()
    assert await finish(second, turn) is None


async def test_a_lease_is_kept_by_renewing_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_module, "LEASE_SECONDS", 0.4)
    first, second = box(store, "w1"), box(store, "w2")
    await first.post([message("a")])
    turn = await take(first)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        await first.renew([turn])
        assert await second.take(conversation()) is None
        await asyncio.sleep(0.1)
    assert not turn.interrupted.is_set()


async def test_a_worker_that_comes_back_has_its_own_turns_at_once(store: Store) -> None:
    await box(store).post([message("a")])
    before = await take(box(store, "w1"))
    again = box(store, "w1")
    assert await again.waiting([BOT], own=True) == [Work(conversation())]
    turn = await take(again)
    assert turn.takeovers == 1
    assert turn.incoming == before.incoming


async def test_a_turn_that_is_handed_over_is_no_takeover(store: Store) -> None:
    first, second = box(store, "w1"), box(store, "w2")
    await first.post([message("a")])
    await first.release(await take(first))
    assert (await take(second)).takeovers == 0


async def test_a_take_whose_reply_was_lost_is_no_takeover(store: Store, valkey_socket: Path, tmp_path: Path) -> None:
    losing = asyncio.Event()

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(valkey_socket)

        async def back() -> None:
            while data := await from_server.read(65536):
                if losing.is_set():
                    losing.clear()
                    break
                writer.write(data)
            writer.close()

        backwards = asyncio.create_task(back())
        while data := await reader.read(65536):
            to_server.write(data)
        to_server.close()
        await backwards

    async with await asyncio.start_unix_server(through, tmp_path / "lossy.sock"):
        lossy = Store(f"unix://{tmp_path / 'lossy.sock'}")
        mailbox = box(lossy)
        await mailbox.post([message("a")])
        losing.set()
        turn = await take(mailbox)
        assert not losing.is_set()
        assert turn.takeovers == 0
        assert await finish(mailbox, turn) is None
        await lossy.close()


async def test_new_work_is_told_to_one_worker_of_its_bot(store: Store) -> None:
    mailbox = box(store)
    here, there = Bot(Platform.TELEGRAM, "1"), Bot(Platform.TELEGRAM, "2")
    await mailbox.post([message("a", space="s"), message("b")])
    await mailbox.post([message("c")])
    assert await mailbox.wake_ups([here], 10) == [Work(conversation(), "s")]
    # It is held and goes on to what comes by itself; once it was idle, a new message is told again.
    turn: Turn | None = await take(mailbox)
    await mailbox.post([message("d")])
    while turn is not None:
        turn = await finish(mailbox, turn)
    assert await mailbox.wake_ups([there], 10) == []
    await mailbox.post([message("e")])
    assert await mailbox.wake_ups([there, here], 10) == [Work(conversation(), "s")]


async def test_who_wakes_a_worker_itself_tells_no_other(store: Store) -> None:
    mailbox = Mailbox(store, "w1", Admission(5), keep_days=1, wakes_itself=True)
    await mailbox.post([message("a")])
    assert await mailbox.wake_ups([Bot(Platform.TELEGRAM, "1")], 10) == []


async def test_a_turn_that_is_handed_over_is_told_at_once(store: Store) -> None:
    mailbox = Mailbox(store, "w1", Admission(5), keep_days=1, wakes_itself=True)
    await mailbox.post([message("a")])
    await mailbox.release(await take(mailbox))
    assert await box(store, "w2").wake_ups([Bot(Platform.TELEGRAM, "1")], 10) == [Work(conversation())]


@pytest.mark.parametrize("how", ["stop", "edit", "delete"])
async def test_an_interruption_is_told_to_the_worker_who_holds_the_turn(store: Store, how: str) -> None:
    holder, receiver = box(store, "holder"), box(store, "receiver")
    await receiver.post([message("a", id="1")])
    turn = await take(holder)
    if how == "stop":
        stop = call("stop")
        await receiver.post([stop], urgent=[stop.id])
    elif how == "edit":
        await receiver.post([message("b", id="1", edited=True)])
    else:
        await receiver.forget(Deletion(conversation(), ("1",), "d"))
    assert await receiver.wake_ups([], 10) == []
    assert await holder.wake_ups([], 10) == [Work(conversation())]
    await holder.renew([turn])
    assert turn.interrupted.is_set()


async def test_a_space_that_floods_is_told_and_leaves_room_for_others(store: Store) -> None:
    mailbox = Mailbox(store, "w1", Admission(conversation=3, space=24, all=1600), keep_days=1)
    posts = [message(f"{i}", chat="7", space="flood", conversation=_same_partition(i // 2)) for i in range(8)]
    assert await mailbox.post(posts) == [Posted.ACCEPTED] * 3 + [Posted.FULL] * 5
    other = message("hello", conversation=_same_partition(9), space="quiet")
    assert await mailbox.post([other]) == [Posted.ACCEPTED]
    turn = await mailbox.take(posts[3].conversation)
    assert turn is not None
    assert (turn.incoming.id, turn.overflow) == (posts[2].id, 0)
    notice = await finish(mailbox, turn)
    assert notice is not None
    assert (notice.incoming.id, notice.overflow, notice.busy) == (posts[3].id, 1, True)
    while notice is not None:
        notice = await finish(mailbox, notice)
    # Its places are free again.
    turn = await mailbox.take(posts[0].conversation)
    while turn is not None:
        turn = await finish(mailbox, turn)
    assert await mailbox.post([message("again", conversation=_same_partition(0), space="flood")]) == [Posted.ACCEPTED]


async def test_no_more_wait_than_are_answered_in_a_minute(store: Store) -> None:
    mailbox = Mailbox(store, "w1", Admission(all=16 * 1000), keep_days=1)
    chats = [key for key in (conversation(str(n)) for n in range(1000, 3000)) if partition_of(str(key)) == 0]
    posted = await mailbox.post([message(conversation=chat) for chat in chats[:60]])
    assert posted == [Posted.ACCEPTED] * 50 + [Posted.FULL] * 10
    for minute in (int(time.time() // 60), int(time.time() // 60) + 1):
        await store.redis.set(served(0, minute), 62)
    posted = await mailbox.post([message(conversation=chat) for chat in chats[60:64]])
    assert posted == [Posted.ACCEPTED] * 2 + [Posted.FULL] * 2


async def test_others_conversations_hide_nobody(store: Store) -> None:
    mailbox = box(store, max_waiting=5)
    foreign = [ConversationKey(Platform.TELEGRAM, "2", str(n)) for n in range(400)]
    await mailbox.post([message(conversation=key) for key in foreign if partition_of(str(key)) == 0][:20])
    await mailbox.post([message(conversation=_same_partition(0))])
    found = await mailbox.waiting([BOT], own=True, most=3)
    assert [work.conversation for work in found] == [_same_partition(0)]


async def test_a_late_copy_of_a_write_changes_nothing(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message("a")])
    turn = await take(mailbox)
    assert await finish(mailbox, turn) is None
    # As a delayed first copy of a call that was repeated: the fence is still the same.
    with pytest.raises(LeaseLost):
        await mailbox.created(turn, 0, "41")
    await mailbox.post([message("b")])
    following = await take(mailbox)
    with pytest.raises(LeaseLost):
        await mailbox.created(turn, 0, "41")
    assert (await take(mailbox)).pages == {}
    assert following.number != turn.number


async def test_a_damaged_record_is_closed_with_a_word(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message("a")])
    turn = await take(mailbox)
    await store.redis.hset(ConversationKeys.of(turn.conversation).turn, mapping={"text": "x", "ending": "nonsense"})
    again = await take(mailbox)
    assert again.unreadable
    assert again.incoming.id == turn.incoming.id
    assert await finish(mailbox, again) is None


async def test_a_deleted_question_stays_deleted_though_it_is_stopped_as_well(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message("a", id="1")])
    turn = await take(mailbox)
    await mailbox.forget(Deletion(conversation(), ("1",), "d"))
    stop = call("stop")
    await mailbox.post([stop], urgent=[stop.id])
    await mailbox.renew([turn])
    assert turn.reason == "forgotten"


async def test_far_too_much_is_refused_and_nothing_of_it_is_kept(store: Store) -> None:
    mailbox = Mailbox(store, "w1", Admission(conversation=100, space=100, all=16), keep_days=1)
    posted = [(await mailbox.post([message(conversation=_same_partition(i))]))[0] for i in range(6)]
    assert posted == [Posted.ACCEPTED] + [Posted.FULL] * 3 + [Posted.REFUSED] * 2
    for work in await mailbox.waiting([BOT], own=True):
        turn = await mailbox.take(work.conversation)
        while turn is not None:
            turn = await finish(mailbox, turn)
    assert await store.redis.keys("*:load") == []


async def test_a_lease_of_a_clock_that_was_set_back_does_not_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox, other = box(store), box(store, "w2")
    await mailbox.post([message("a")])
    turn = await take(mailbox)
    ready = ConversationKeys.of(turn.conversation).ready
    await store.redis.zadd(ready, {str(turn.conversation): (time.time() + 3600) * 1000})
    assert await other.take(turn.conversation) is None
    monkeypatch.setattr(mailbox_module, "LEASE_SECONDS", 0.2)
    assert await other.waiting([BOT]) == []
    await asyncio.sleep(0.3)
    assert await other.take(turn.conversation) is not None


async def test_the_record_tells_a_successor_what_was_created(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message("a")])
    turn = await take(mailbox)
    await mailbox.about_to_create(turn, 0, "41")
    await mailbox.created(turn, 0, "42")
    await mailbox.about_to_create(turn, 1, "42", "the whole answer", Finished(Ending.LENGTH, Usage("m", 1, 2, 3, 1)))
    successor = await take(mailbox)
    assert successor.pages == {0: "42"}
    assert successor.slot == (1, "42")
    assert successor.text == "the whole answer"
    assert successor.finished == Finished(Ending.LENGTH, Usage("m", 1, 2, 3, 1))


async def test_finishing_twice_does_not_close_the_next_turn(store: Store) -> None:
    """The reply to a finish can be lost: the store then runs it again."""
    mailbox = box(store)
    await mailbox.post([message("a"), message("b")])
    turn = await take(mailbox)
    following = await finish(mailbox, turn)
    again = await finish(mailbox, turn)
    assert following is not None
    assert again is not None
    assert again.number == following.number
    assert isinstance(again.incoming, Message)
    assert again.incoming.text == "b"


async def test_an_edit_of_a_waiting_message_takes_its_place(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message("a"), message("b", id="2"), message("c")])
    await mailbox.post([message("B!", id="2", edited=True)])
    texts: list[str] = []
    turn: Turn | None = await take(mailbox)
    while turn is not None:
        assert isinstance(turn.incoming, Message)
        texts.append(turn.incoming.text)
        turn = await finish(mailbox, turn)
    assert texts == ["a", "B!", "c"]


async def test_an_edit_of_the_open_question_interrupts_its_answer(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message("a", id="1")])
    turn = await take(mailbox)
    await mailbox.post([message("A!", id="1", edited=True)])
    await mailbox.renew([turn])
    assert turn.reason == Ending.SUPERSEDED
    following = await finish(mailbox, turn)
    assert following is not None
    assert isinstance(following.incoming, Message)
    assert following.incoming.text == "A!"


async def test_an_edit_of_the_open_question_comes_next_however_many_wait(store: Store) -> None:
    mailbox = box(store, max_waiting=2)
    await mailbox.post([message("a", id="1")])
    turn = await take(mailbox)
    await mailbox.post([message("b"), message("c")])
    assert await mailbox.post([message("A!", id="1", edited=True)]) == [Posted.ACCEPTED]
    texts: list[str] = []
    following = await finish(mailbox, turn)
    while following is not None:
        assert isinstance(following.incoming, Message)
        texts.append(following.incoming.text)
        following = await finish(mailbox, following)
    assert texts == ["A!", "b", "c"]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_server_that_refuses_to_write_accepts_nothing(store: Store, count: int) -> None:
    """A full disk or memory: the adapter has to hear of it as what it is."""
    mailbox = box(store)
    await store.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(StorageError):
            await mailbox.post([message() for _ in range(count)])
    finally:
        await store.redis.config_set("maxmemory", "0")


async def test_a_lease_counts_from_the_try_that_succeeded(
    store: Store, valkey_socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_module, "LEASE_SECONDS", 0.5)
    socket = tmp_path / "later.sock"
    away = Store(f"unix://{socket}")
    mailbox = box(away)
    await box(store).post([message("a")])
    taking = asyncio.create_task(take(mailbox))
    await asyncio.sleep(0.6)
    socket.symlink_to(valkey_socket)
    (await taking).check_lease()
    await away.close()


async def test_a_deleted_message_is_not_answered(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message("a", id="1"), message("b", id="2"), message("c", id="3")])
    turn = await take(mailbox)
    assert await mailbox.forget(Deletion(conversation(), ("1", "2"), "d")) == 2
    await mailbox.renew([turn])
    assert turn.reason == "forgotten"
    following = await finish(mailbox, turn)
    assert following is not None
    assert following.incoming.id == "3"


async def test_stop_ends_the_open_turn_but_not_its_own(store: Store) -> None:
    mailbox = box(store)
    early, stop = call("stop"), call("stop")
    await mailbox.post([early], urgent=[early.id])
    assert not await mailbox.has_stopped(early)
    assert await finish(mailbox, await take(mailbox)) is None
    await mailbox.post([message("a")])
    turn = await take(mailbox)
    await mailbox.post([stop], urgent=[stop.id])
    await mailbox.renew([turn])
    assert turn.reason == Ending.STOPPED
    own = await finish(mailbox, turn)
    assert own is not None
    assert await mailbox.has_stopped(stop)
    await mailbox.renew([own])
    assert not own.interrupted.is_set()


@pytest.mark.parametrize(("values", "ends"), [({}, False), ({"by_admin": True}, True), ({"author": ADA}, True)])
async def test_in_a_group_only_some_stop_an_answer(store: Store, values: dict[str, Any], ends: bool) -> None:
    """Who asked, and administrators; whether a worker has begun with it or not."""
    mailbox = box(store)
    for is_taken in (True, False):
        given: dict[str, Any] = {"private": False, "author": Author("8", "Bob"), **values}
        stop = call("stop", **given)
        await mailbox.post([message("a", author=ADA, private=False)])
        turn = await take(mailbox) if is_taken else None
        await mailbox.post([stop], urgent=[stop.id])
        state = await store.redis.hgetall(ConversationKeys.of(conversation()).state)
        assert (state.get("spared") == stop.id) is not ends
        assert await mailbox.has_spared(stop) is not ends
        if turn is None:
            assert (state.get("stopping") == stop.id) is ends
            continue
        await mailbox.renew([turn])
        assert (turn.reason == Ending.STOPPED) is ends
        assert await mailbox.has_stopped(stop) is ends
        own = await finish(mailbox, turn)
        assert own is not None
        assert await finish(mailbox, own) is None


async def test_conversations_do_not_wait_for_each_other(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message("a", chat="1"), message("b", chat="2")])
    first, second = await take(mailbox, "1"), await take(mailbox, "2")
    assert first.conversation != second.conversation
    assert await mailbox.waiting([BOT]) == []
    held = {work.conversation for work in await mailbox.waiting([BOT], own=True)}
    assert held == {first.conversation, second.conversation}


async def test_nothing_stays_without_a_lifetime_once_all_is_answered(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([message("a"), call("help")])
    turn: Turn | None = await take(mailbox)
    while turn is not None:
        turn = await finish(mailbox, turn)
    # Nor of a conversation whose only message was deleted before it was read.
    await mailbox.post([message("b", id="2", chat="200")])
    await mailbox.forget(Deletion(conversation("200"), ("2",), "d"))
    assert await mailbox.take(conversation("200")) is None
    async for key in store.redis.scan_iter("*"):
        assert await store.redis.ttl(key) > 0, key
