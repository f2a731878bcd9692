"""A store of the version before is migrated while it is worked on, and a newer one is refused."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from core.conversation.history import Answer, History, Mode, Question
from core.conversation.mailbox import Admission, Bot, Mailbox
from core.conversation.turn import Turn
from core.errors import SettingsError
from core.message import ConversationKey, Message, Platform
from core.message_json import VERSION
from core.storage import keys, schema
from core.storage.client import Store
from core.storage.keys import ConversationKeys
from core.storage.leases import Leases
from core.tasks import end
from tests.builders import conversation, message

CHATS = [str(number) for number in range(100, 120)]


def mailbox(store: Store, worker: str = "w") -> Mailbox:
    return Mailbox(store, worker, admission=Admission(50, 500), keep_days=30)


def entry(text: str, id: str, place: ConversationKey, space: str = "") -> str:
    """A waiting message as version 1 wrote it."""
    values: dict[str, Any] = {
        "conversation": str(place),
        "id": id,
        "update": f"u{id}",
        "author": {"id": "7", "name": "Ada", "is_bot": False, "language": ""},
        "text": text,
        "sent_at": 1.5,
        "private": not space,
        "reply_to": "",
        "quote": None,
        "attachments": [],
        "edited": False,
        "unsupported": "",
        "space": space,
        "place": "",
        "type": "message",
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


async def write_version_1(store: Store) -> None:
    """What a process of version 1 leaves that was killed: in every chat two answers in the tree, an open turn with a
    page, and three messages that wait; one of them one too many."""
    redis = store.redis
    lease = int(time.time() * 1000) - 1
    for chat in CHATS:
        place = conversation(chat)
        at = f"parley:{{{keys.partition_of(str(place)):02x}}}:"
        space = "5" if int(chat) % 2 else ""
        await redis.hset(
            f"{at}state:{place}",
            mapping={"fence": 3, "turns": 3, "newest": "12", "holder": "v1", "lease": lease, "overflow": 4},
        )
        nodes = {
            "10": '\t0\t10\tq\t{"text":"one","author":"Ada","at":1}',
            "11": '10\t10\t10\ta\t{"text":"first answer","pages":["11"],"ending":"complete"}',
            "@10": "11",
            "12": '11\t20\t10\tq\t{"text":"two","author":"Ada","at":2}',
        }
        await redis.hset(f"{at}tree:{place}", mapping=nodes)
        await redis.zadd(f"{at}order:{place}", {"10": 1, "11": 2, "12": 3})
        turn = {"number": 3, "entry": entry("two", "12", place, space), "takeovers": 0, "overflow": 0}
        await redis.hset(f"{at}turn:{place}", mapping={**turn, "question": "12", "m0": "13"})
        waiting = [entry("three", "14", place, space), entry("four", "15", place, space)]
        await redis.rpush(f"{at}box:{place}", *waiting, "!" + entry("five", "16", place, space))
        await redis.zadd(f"{at}ready", {str(place): lease})


async def answer(box: Mailbox, history: History, turn: Turn, answered: list[str]) -> Turn | None:
    asked = turn.incoming
    assert isinstance(asked, Message)
    if not turn.overflow:
        question = Question.of(asked)
        path = await history.path(turn, Mode.ASK, question, id=asked.id, reply_to="", window=10_000)
        assert path is not None
        turn.question = path.question
        if asked.id == "12":
            assert turn.pages == {0: "13"}
            assert turn.takeovers == 1
            assert [node.said.text for node in path.nodes] == ["one", "first answer", "two"]
    else:
        assert turn.overflow == 4
    turn.pages = turn.pages or {0: f"a{asked.id}"}
    answered.append(f"{turn.conversation.chat}/{asked.id}")
    return await box.finish(turn, Answer("yes", tuple(turn.pages.values()), "complete").to_payload(), 10)


async def work(store: Store, answered: list[str], worker: str, *, every: float = 0.0) -> None:
    """Answers everything there is, like a worker."""
    box, history = mailbox(store, worker), History(store, keep_days=30, max_messages=1000)
    for chat in CHATS:
        turn = await box.take(conversation(chat))
        while turn is not None:
            turn = await answer(box, history, turn, answered)
            await asyncio.sleep(every)


async def waiting(store: Store) -> dict[str, int]:
    """Counted by hand."""
    found: dict[str, int] = {}
    for chat in CHATS:
        for text in await store.redis.lrange(ConversationKeys.of(conversation(chat)).box, 0, -1):
            space: str = json.loads(text.removeprefix("!")).get("space", "")
            for field in {"", space}:
                found[field] = found.get(field, 0) + 1
    return found


async def counted(store: Store) -> dict[str, int]:
    """As admission knows it, over all partitions."""
    found: dict[str, int] = {}
    for partition in range(keys.PARTITIONS):
        for space, count in (await store.redis.hgetall(keys.load(partition))).items():
            found[space] = found.get(space, 0) + int(count)
    return found


async def until_current(store: Store) -> None:
    """Until the migration is over and its lease given back."""
    async with asyncio.timeout(20):
        while (await schema.read(store)).version < VERSION or await store.redis.exists(keys.lease(schema.LEASE)):
            await asyncio.sleep(0.01)


async def test_an_empty_store_becomes_this_version(store: Store) -> None:
    await schema.check(store)
    running = asyncio.create_task(schema.run(store, Leases(store, "one")))
    await until_current(store)
    await end([running])
    found = await store.redis.hgetall(keys.schema())
    assert found.keys() == {"version", "program", "at"}
    assert found["program"].startswith("Parley")


async def test_all_that_version_1_left_is_answered_while_it_is_migrated(store: Store) -> None:
    await write_version_1(store)
    await schema.check(store)
    box, answered = mailbox(store), list[str]()

    async def post() -> None:
        for number in range(3):
            for chat in CHATS:
                await box.post([message("new", id=str(100 + number), chat=chat, space="5" if int(chat) % 2 else "")])

    running = asyncio.create_task(schema.run(store, Leases(store, "one")))
    await asyncio.gather(post(), work(store, answered, "w", every=0.002))
    await until_current(store)
    assert await counted(store) == await waiting(store)
    await work(store, answered, "w")
    await end([running])
    expected = ["12", "14", "15", "16", "100", "101", "102"]
    for chat in CHATS:
        assert [name.partition("/")[2] for name in answered if name.startswith(f"{chat}/")] == expected
    assert await counted(store) == {}
    async for key in store.redis.scan_iter("parley:*state:*"):
        assert await store.redis.hexists(key, "lease") == 0


async def test_what_waits_is_counted_and_its_space_is_known(store: Store) -> None:
    await write_version_1(store)
    running = asyncio.create_task(schema.run(store, Leases(store, "one")))
    await until_current(store)
    await end([running])
    assert await counted(store) == await waiting(store) == {"": 3 * len(CHATS), "5": 3 * len(CHATS) // 2}
    spaces = {
        work.conversation.chat: work.space
        for work in await mailbox(store).waiting([Bot(Platform.TELEGRAM, "1")], own=True)
    }
    assert spaces == {chat: "5" if int(chat) % 2 else "" for chat in CHATS}


async def test_one_process_migrates_and_another_goes_on_where_it_stopped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    stuck, never = asyncio.Event(), asyncio.Event()
    migrate = schema.MIGRATIONS[2]

    async def step(store: Store, partition: int) -> int:
        begun.append(partition)
        if partition == 7 and not stuck.is_set():
            stuck.set()
            await never.wait()
        return await migrate(store, partition)

    monkeypatch.setattr(schema, "AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(schema, "MIGRATIONS", {2: step})
    first = asyncio.create_task(schema.run(store, Leases(store, "one")))
    await asyncio.wait_for(stuck.wait(), 10)
    second = asyncio.create_task(schema.run(store, Leases(store, "two")))
    await asyncio.sleep(0.2)
    assert begun == list(range(8)), "the first one is at it"
    await end([first])
    await until_current(store)
    await end([second])
    assert begun == [*range(8), *range(7, keys.PARTITIONS)]


async def test_a_newer_store_is_refused_at_the_start(store: Store) -> None:
    await store.redis.hset(keys.schema(), mapping={"version": VERSION + 1, "program": "Parley 9.9", "at": 1})
    with pytest.raises(SettingsError, match=r"taken over by Parley 9\.9 \(version 3.*newer one.*REDIS_URL"):
        await schema.check(store)


async def test_a_process_ends_when_the_store_becomes_newer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "LOOK_SECONDS", 0.02)
    running = asyncio.create_task(schema.run(store, Leases(store, "one")))
    await until_current(store)
    await asyncio.sleep(0.1)
    assert not running.done()
    await store.run("schema_raise", [keys.schema()], (VERSION + 1, "Parley 9.9"))
    with pytest.raises(SettingsError, match=r"Parley 9\.9"):
        await asyncio.wait_for(running, 10)


async def test_an_older_program_does_not_lower_the_version(store: Store) -> None:
    await store.run("schema_raise", [keys.schema()], (VERSION + 1, "Parley 9.9"))
    await store.run("schema_raise", [keys.schema()], (VERSION, "Parley"))
    assert (await schema.read(store)).version == VERSION + 1


async def test_counting_anew_is_right_whatever_goes_on(store: Store) -> None:
    box = mailbox(store)

    async def post(chat: str) -> None:
        for number in range(10):
            await box.post([message(str(number), chat=chat, space="5")])

    async def take(chat: str) -> None:
        for _ in range(5):
            turn = await box.take(conversation(chat))
            if turn is not None:
                await box.finish(turn, "{}", 1)

    async def count() -> None:
        for _ in range(20):
            await schema.recount(store)

    # Wrong counts, as a crash in the middle of nothing could never leave them.
    for partition in range(keys.PARTITIONS):
        await store.redis.hset(keys.load(partition), mapping={"": 10, "5": 7, "gone": 3})
    await asyncio.gather(count(), *(post(chat) for chat in CHATS[:8]), *(take(chat) for chat in CHATS[:8]))
    assert await counted(store) == await waiting(store)
    await schema.recount(store)
    assert await counted(store) == await waiting(store)


async def test_an_entry_that_nobody_can_read_is_counted(store: Store) -> None:
    place = ConversationKeys.of(ConversationKey(Platform.TELEGRAM, "1", "100"))
    await store.redis.rpush(place.box, "{", '"text"', "!")
    await store.redis.zadd(place.ready, {place.name: 0})
    await schema.recount(store)
    assert await counted(store) == {"": 3}
