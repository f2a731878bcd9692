"""Finding a message whose sender died before it could be recorded, by a process that knows nothing but Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from bots.adapter import Page, Slot, Target
from bots.telegram_bot import finding, seen
from bots.telegram_bot.api import Api
from bots.telegram_bot.outbound import TelegramOutbound
from bots.telegram_bot.seen import Seen
from core.errors import OutboundError, OutboundFault, StorageError
from core.message import ConversationKey, Platform
from core.storage.client import Store
from core.storage.shared import Sightings
from tests.platforms.telegram_server import Fault, TelegramServer

Process = Callable[[], "tuple[TelegramOutbound, Seen]"]
FORUM = -100600


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(seen, "TELL_SECONDS", 0.02)


@pytest.fixture
def process(store: Store, api: Api) -> Process:
    """Another process of the bot: its sending side, and what it has seen."""

    def begin() -> tuple[TelegramOutbound, Seen]:
        known = Seen(Sightings(store, "telegram:4242"))
        return TelegramOutbound(api, known), known

    return begin


def target(chat: int, question: int | str = "", thread: int | str = "", asked: str = "") -> Target:
    key = ConversationKey(Platform.TELEGRAM, "4242", str(chat), str(thread))
    return Target(key, private=chat > 0, question=str(question), asked=asked)


def page(text: str = "answer") -> Page:
    return Page(text, len(text))


async def lose(server: TelegramServer, outbound: TelegramOutbound, at: Target, turn: str = "lost") -> Slot:
    """Sends a message whose answer never comes, as for a worker killed right then; the slot as it was recorded."""
    slot = Slot(turn, 0, outbound.mark(at))
    server.fail("sendMessage", Fault.RESET_AFTER)
    with pytest.raises(OutboundError) as caught:
        await outbound.send(at, page(), slot)
    assert caught.value.fault is OutboundFault.TRANSIENT
    return slot


def looks(server: TelegramServer) -> int:
    return len(server.named("editMessageCaption"))


async def test_mark_is_the_highest_of_the_chats_counter(api: Api) -> None:
    known = Seen()
    outbound = TelegramOutbound(api, known)
    assert outbound.mark(target(7)) == ""
    assert outbound.mark(target(7, 40)) == "40"
    assert outbound.mark(target(8)) == "40", "a question that was taken tells how far the counter is"
    assert outbound.mark(target(8, asked="41")) == "41", "a command has a number too"
    assert outbound.mark(target(8, asked="press-99")) == "41"
    known.came("8", 52)
    known.came("8", 50)
    known.sent("-55", 60, "turn")
    known.sent("-100500", 9000, "turn")
    assert outbound.mark(target(7, 40)) == "60", "private chats and basic groups share a counter"
    assert outbound.mark(target(-100500, 40)) == "9000"
    assert outbound.mark(target(-100501, 40)) == "40"


async def test_found_by_another_process(server: TelegramServer, process: Process) -> None:
    server.world.text(8, "someone else")
    at = target(7, server.world.text(7, "hello"))
    server.world.text(8, "someone else")
    slot = await lose(server, process()[0], at)
    for _ in range(20):
        server.world.text(8, "someone else again")
    (post,) = server.world.shown(7)
    before = [list(p.history) for c in server.world.chats.values() for p in c.posts.values()]
    outbound, _ = process()
    assert await outbound.find(at, page(), slot, ()) == str(post.id)
    assert before == [list(p.history) for c in server.world.chats.values() for p in c.posts.values()]
    assert outbound.mark(at) == str(post.id)


async def test_found_though_hundreds_of_others_came_between(server: TelegramServer, process: Process) -> None:
    """Three workers and a receiver over one bot: who has been busy with slow answers knows an old mark only."""
    (dead, _), (other, others), (_, received) = process(), process(), process()
    at = target(7, server.world.text(7, "hello"))
    slot = Slot("lost", 0, dead.mark(at))
    for chat in range(1000, 1150):
        received.came(str(chat), server.world.text(chat, "hi"))
        await other.send(target(chat), page("done"), Slot(f"turn-{chat}", 0))
    await lose(server, dead, at)
    await asyncio.gather(received.tell(), others.tell())
    (post,) = server.world.shown(7)
    assert post.id > int(slot.after) + finding.REACH
    successor, _ = process()
    assert await successor.find(at, page(), slot, ()) == str(post.id)
    assert looks(server) <= finding.AT_ONCE, "what others have seen needs no look"
    assert all(server.world.texts(chat) == ["done"] for chat in range(1000, 1150))


async def test_not_found_when_it_was_not_sent(server: TelegramServer, process: Process) -> None:
    at = target(7, server.world.text(7, "hello"))
    outbound, _ = process()
    slot = Slot("lost", 0, outbound.mark(at))
    server.fail("sendMessage", Fault.RESET_BEFORE)
    with pytest.raises(OutboundError):
        await outbound.send(at, page(), slot)
    server.world.text(7, "are you there?")
    assert await process()[0].find(at, page(), slot, ()) is None


async def test_an_earlier_page_is_not_taken(server: TelegramServer, process: Process) -> None:
    at = target(7, server.world.text(7, "hello"))
    dead, _ = process()
    slot = Slot("lost", 1, dead.mark(at))
    first = await dead.send(at, page("page one"), Slot("lost", 0))
    assert await process()[0].find(at, page("page two"), slot, (first,)) is None
    await lose(server, dead, at)
    assert await process()[0].find(at, page("page two"), slot, (first,)) == str(server.world.shown(7)[1].id)


async def test_an_answer_that_the_tree_knows_is_not_taken(server: TelegramServer, process: Process) -> None:
    question = server.world.text(7, "two")
    earlier, _ = process()
    answer = await earlier.send(target(7), page("to one"), Slot("turn-1", 0))
    slot = Slot("turn-2", 0, process()[0].mark(target(7, question)))
    assert int(slot.after) < int(answer), "the dead worker did not know of it"
    assert await process()[0].find(target(7, question), page(), slot, (answer, str(question))) is None


async def test_a_commands_answer_is_not_taken(server: TelegramServer, process: Process) -> None:
    """It is in no tree; but who sent it has told."""
    question = server.world.text(7, "two")
    earlier, told = process()
    await earlier.send(target(7), page("how to"), Slot("turn-1", 0))
    slot = Slot("turn-2", 0, str(question))
    await told.close()
    assert await process()[0].find(target(7, question), page(), slot, ()) is None


async def test_the_answer_to_a_pressed_button_has_only_what_is_known_to_go_by(
    server: TelegramServer, process: Process
) -> None:
    answer = await process()[0].send(target(7, server.world.text(7, "hello")), page("one"), Slot("turn-1", 0))
    at = target(7, asked="press-1")
    slot = await lose(server, process()[0], at)
    assert slot.after == ""
    assert await process()[0].find(at, page(), slot, (answer,)) == str(server.world.shown(7)[1].id)


async def test_found_without_looking_when_its_id_was_told(server: TelegramServer, process: Process) -> None:
    at = target(7, server.world.text(7, "hello"))
    dead, told = process()
    slot = Slot("lost", 0, dead.mark(at))
    number = await dead.send(at, page(), slot)
    assert await dead.find(at, page(), slot, ()) == number, "also in the process that could not record it"
    await told.close()
    assert await process()[0].find(at, page(), slot, ()) == number
    assert looks(server) == 0


async def test_a_file_is_found_and_left_as_it_is(server: TelegramServer, process: Process) -> None:
    at = target(7, server.world.text(7, "hello"))
    dead, _ = process()
    slot = Slot("lost", 0, dead.mark(at))
    server.fail("sendDocument", Fault.RESET_AFTER)
    with pytest.raises(OutboundError):
        await dead.send_file(at, "a.md", "text/markdown", b"x", page("caption"), slot)
    (post,) = server.world.shown(7)
    assert await process()[0].find(at, page("…"), slot, ()) == str(post.id)
    assert (post.text, len(post.history)) == ("caption", 1)


async def test_a_rich_message_is_found_and_left_as_it_is(server: TelegramServer, process: Process) -> None:
    at = target(7, server.world.text(7, "hello"))
    dead, _ = process()
    slot = Slot("lost", 0, dead.mark(at))
    server.fail("sendRichMessage", Fault.RESET_AFTER)
    with pytest.raises(OutboundError):
        await dead.send(at, dead.format("# Head\n\ntext"), slot)
    (post,) = server.world.shown(7)
    assert await process()[0].find(at, page(), slot, ()) == str(post.id)
    assert (post.rich, len(post.history)) == ("<h1>Head</h1><p>text</p>", 1)


async def test_found_in_a_group_with_its_own_counter(server: TelegramServer, process: Process) -> None:
    server.world.group(-100500)
    at = target(-100500, server.world.text(-100500, "@parley_bot hello"))
    for _ in range(50):
        server.world.text(-100500, "people among themselves", user=3)
    slot = await lose(server, process()[0], at)
    (post,) = server.world.shown(-100500)
    assert await process()[0].find(at, page(), slot, ()) == str(post.id)


# ---- topics: conversations that share a chat


@pytest.fixture
def topics(server: TelegramServer) -> list[Target]:
    """Questions in three topics of a group."""
    server.world.group(FORUM, forum=True)
    threads = [server.world.topic(FORUM, name) for name in "ABC"]
    return [target(FORUM, server.world.text(FORUM, "@parley_bot hi", thread=t), thread=t) for t in threads]


async def test_two_lost_in_one_group_are_not_mixed_up(
    server: TelegramServer, process: Process, topics: list[Target]
) -> None:
    """One worker died with two answers on the way, of which one had arrived; each of them is looked for."""
    dead, _ = process()
    done = await dead.send(topics[2], page("done"), Slot("turn-c", 0))
    unsent = Slot("turn-a", 0, str(int(done) - 1))
    await lose(server, dead, topics[1], "turn-b")
    await dead.send(topics[2], page("done too"), Slot("turn-c", 1))
    lost = Slot("turn-b", 0, unsent.after)
    for at, slot in ((topics[0], unsent), (topics[1], lost)):
        successor, _ = process()
        assert await successor.find(at, page(), slot, ()) is None, "sent anew"
        await successor.send(at, page(f"for {slot.turn}"), slot)
    assert sorted(server.world.texts(FORUM)) == ["done", "done too", "for turn-a", "for turn-b"]


async def test_what_another_topic_is_being_sent_stays(
    server: TelegramServer, api: Api, process: Process, topics: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "SETTLE_SECONDS", 0.5)
    (dead, _), (_, living), (successor, _) = process(), process(), process()
    slot = Slot("turn-a", 0, dead.mark(topics[0]))
    sent = await api.call("sendmessage", {"chat_id": FORUM, "text": "living"})
    looking = asyncio.create_task(successor.find(topics[0], page(), slot, ()))
    while looks(server) < finding.REACH:
        await asyncio.sleep(0.01)
    # Only now the living worker has the answer to its call.
    living.sent(str(FORUM), sent["message_id"], "turn-b")
    await living.tell()
    assert await looking is None
    assert server.world.texts(FORUM) == ["living"]


async def test_what_is_sent_in_topics_is_told_before_it_is_recorded(
    server: TelegramServer, process: Process, topics: list[Target]
) -> None:
    dead, _ = process()
    slot = Slot("turn-a", 0, dead.mark(topics[0]))
    number = await dead.send(topics[0], page(), slot)
    assert await process()[0].find(topics[0], page(), slot, ()) == number


# ---- troubles of the search itself


async def test_the_search_obeys_429_and_gives_up_in_time(server: TelegramServer, process: Process) -> None:
    at = target(7, server.world.text(7, "hello"))
    slot = await lose(server, process()[0], at)
    server.fail("editMessageCaption", Fault.FLOOD, retry_after=1)
    started = time.monotonic()
    assert await process()[0].find(at, page(), slot, ())
    assert time.monotonic() - started >= 1
    server.fail("editMessageCaption", Fault.SERVER_ERROR)
    with pytest.raises(OutboundError) as caught:
        await process()[0].find(at, page(), slot, ())
    assert caught.value.fault is OutboundFault.TRANSIENT


async def test_a_server_that_does_not_tell(server: TelegramServer, process: Process) -> None:
    at = target(7, server.world.text(7, "hello"))
    slot = await lose(server, process()[0], at)
    server.fail("editMessageCaption", Fault.REFUSE, times=100, description="MEDIA_CAPTION_TOO_LONG")
    assert await process()[0].find(at, page(), slot, ()) is None


async def test_nothing_to_go_by(server: TelegramServer, process: Process) -> None:
    assert await process()[0].find(target(7), page(), Slot("t", 0), ()) is None
    assert server.calls == []


class Away:
    """Tellings while the storage is away, until it comes back."""

    def __init__(self) -> None:
        self.away = True
        self.told: list[str] = []

    async def tell(self, text: str) -> None:
        if self.away:
            raise StorageError("away")
        self.told.append(text)

    async def hear(self) -> list[str]:
        if self.away:
            raise StorageError("away")
        return []


async def test_storage_away(server: TelegramServer, api: Api) -> None:
    away = Away()
    known = Seen(away)
    outbound = TelegramOutbound(api, known)
    at = target(7, server.world.text(7, "hello"))
    number = await outbound.send(at, page(), Slot("turn", 0))
    with pytest.raises(OutboundError) as caught:
        await outbound.find(at, page(), Slot("lost", 0, number), ())
    assert caught.value.fault is OutboundFault.TRANSIENT
    await known.tell()
    away.away = False
    await known.close()
    assert [text.count(f":{number}:") for text in away.told] == [1], "kept until it could be told"
