"""How often people may ask: in moving windows by Redis' clock, each question once, one word about it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from pydantic import ValidationError

from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall, Message
from core.parts import Ending, Finished, Notice, Part
from core.people.identity import Person
from core.people.limits import Limits, TooMany, Whose
from core.people.spaces import SpaceSettings
from core.settings import ChatSettings, Settings
from core.storage import keys
from core.storage.client import Store
from core.storage.windows import Window, windows_of
from tests.builders import call, conversation, message
from tests.core.engines import engine


def turn(number: int, who: str = "7", space: str = "", chosen: SpaceSettings | None = None, chat: str = "100") -> Turn:
    asked = message(author=Author(who, "Ada"), space=space, chat=chat, private=not space)
    return Turn(
        asked.conversation,
        str(number),
        "1",
        asked,
        person=Person(id=f"telegram:{who}"),
        space=chosen or SpaceSettings(),
    )


def limits(store: Store, **settings: str) -> Limits:
    return Limits(store, ChatSettings.model_validate(settings))


async def test_without_a_limit_nothing_is_asked(store: Store) -> None:
    before = store.calls
    assert await limits(store).count(turn(1, space="5")) is None
    assert store.calls == before


async def test_a_person_may_ask_so_often_and_one_round_trip_tells(store: Store) -> None:
    asks = limits(store, person_limit="3/minute")
    before = store.calls
    for number in range(3):
        assert await asks.count(turn(number)) is None
    assert store.calls == before + 3
    over = await asks.count(turn(3))
    assert over is not None
    assert over.whose is Whose.PERSON
    assert 58 <= over.seconds <= 60
    assert await asks.count(turn(4, who="8")) is None


async def test_a_turn_that_is_begun_again_counts_once(store: Store) -> None:
    asks = limits(store, person_limit="2/minute")
    for _ in range(5):
        assert await asks.count(turn(1)) is None
    assert await asks.count(turn(2)) is None
    assert await asks.count(turn(3)) is not None
    assert await asks.count(turn(2)) is None


async def test_a_person_is_the_same_on_every_platform(store: Store) -> None:
    asks = limits(store, person_limit="1/minute")
    assert await asks.count(turn(1)) is None
    elsewhere = replace(turn(2, who="99", chat="500"), person=Person(id="telegram:7"))
    assert await asks.count(elsewhere) is not None


async def test_what_one_window_refuses_is_counted_in_none(store: Store) -> None:
    asks = limits(store, person_limit="2/minute", space_limit="3/hour")
    for number in range(10):
        await asks.count(turn(number, space="5"))
    assert await asks.count(turn(20, who="8", space="5")) is None
    over = await asks.count(turn(21, who="9", space="5"))
    assert over is not None
    assert over.whose is Whose.SPACE
    assert over.seconds > 3500


async def test_a_space_sets_its_own_besides(store: Store) -> None:
    asks = limits(store, person_limit="10/minute")
    chosen = SpaceSettings(person_limit="1/minute", space_limit="2/minute")
    assert await asks.count(turn(1, space="5", chosen=chosen)) is None
    over = await asks.count(turn(2, space="5", chosen=chosen))
    assert over is not None
    assert over.whose is Whose.PERSON
    assert await asks.count(turn(3)) is None
    assert await asks.count(turn(4, who="8", space="5", chosen=chosen)) is None
    full = await asks.count(turn(5, who="9", space="5", chosen=chosen))
    assert full is not None
    assert full.whose is Whose.SPACE


async def test_a_window_moves_and_is_gone(store: Store) -> None:
    asks = limits(store, person_limit="2/second")
    assert await asks.count(turn(1)) is None
    assert await asks.count(turn(2)) is None
    assert await asks.count(turn(3)) is not None
    await asyncio.sleep(1.05)
    assert await asks.count(turn(4)) is None
    assert 0 < await store.redis.pttl(keys.limit(Whose.PERSON, "telegram:7", "2/1")) <= 1000


async def test_a_clock_that_was_set_back_holds_nobody(store: Store) -> None:
    asks = limits(store, person_limit="1/minute")
    assert await asks.count(turn(1)) is None
    key = keys.limit(Whose.PERSON, "telegram:7", "1/60")
    for member, at in await store.redis.zrange(key, 0, -1, withscores=True):
        await store.redis.zadd(key, {member: at + 86_400_000})
    assert await asks.count(turn(2)) is None


async def test_many_at_once_over_several_processes_are_counted_exactly(valkey_url: str, store: Store) -> None:
    stores = [Store(valkey_url) for _ in range(3)]
    asks = [limits(each, person_limit="20/minute") for each in stores]
    answers = await asyncio.gather(*(asks[number % 3].count(turn(number)) for number in range(90)))
    assert sum(answer is None for answer in answers) == 20
    for each in stores:
        await each.close()


async def test_looking_counts_nothing_and_one_word_is_said(store: Store) -> None:
    asks = limits(store, person_limit="1/minute")
    assert await asks.look(turn(1)) is None
    assert await asks.count(turn(1)) is None
    over = await asks.look(turn(2))
    assert over is not None
    told = [await asks.is_first_word(turn(number), over) for number in range(3)]
    assert told == [True, False, False]


async def test_while_redis_is_away_nobody_is_refused() -> None:
    away = Store("redis://127.0.0.1:1")
    assert await limits(away, person_limit="1/minute").count(turn(1)) is None
    await away.close()


def test_the_notice_is_in_round_figures() -> None:
    said = [TooMany(Whose.PERSON, seconds).notice for seconds in (1, 90, 91, 5400, 5401)]
    assert [(notice.key, notice.values["count"]) for notice in said] == [
        ("limited_person", 1),
        ("limited_person", 90),
        ("limited_person_minutes", 2),
        ("limited_person_minutes", 90),
        ("limited_person_hours", 2),
    ]


def test_limits_are_written_as_the_library_reads_them() -> None:
    assert windows_of("20/minute") == (Window(20, 60),)
    assert windows_of("5 per 10 seconds; 100/day") == (Window(5, 10), Window(100, 86400))
    assert windows_of("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "often",
        "-1/minute",
        "0/minute",
        "1.5/minute",
        "1001/minute",
        "9999999999999999999/minute",
        "1/32day",
        "1/0",
        "\u0662/minute",
        "1/minute" * 20,
        "1/second;" * 5 + "1/minute",
        "1/parsec",
    ],
)
def test_other_limits_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|there may be"):
        windows_of(text)
    with pytest.raises(ValidationError):
        ChatSettings(person_limit=text)


async def test_over_the_limit_one_notice_then_silence_and_commands_pass(store: Store) -> None:
    settings = Settings.model_validate({"chat": {"person_limit": "1/minute"}})
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)

    async def answer(number: int, asked: Message | CommandCall) -> list[Part]:
        return [part async for part in answering.respond(Turn(asked.conversation, str(number), "1", asked))]

    async with engine(store, mailbox, owners=("telegram:1",), settings=settings) as answering:
        await mailbox.post([message("first")])
        turn = await mailbox.take(conversation())
        assert turn is not None
        first = [part async for part in answering.respond(turn)]
        assert not any(isinstance(part, Notice) and part.key.startswith("limited") for part in first)
        told, end = await answer(2, message("second"))
        assert isinstance(told, Notice)
        assert told.key == "limited_person"
        assert end == Finished(Ending.COMPLETE)
        assert await answer(3, message("third")) == [Finished(Ending.SILENT)]
        # What asks no model is as free as before, and so is whoever runs Parley.
        for free in (call("help"), call("model")):
            assert len(await answer(4, free)) > 1
        before = await store.redis.keys("parley:{limits}:*")
        async for _ in answering.respond(Turn(conversation("9"), "6", "1", call("imagine", author=Author("1", "G")))):
            pass
        assert await store.redis.keys("parley:{limits}:*") == before
        # A question by a command is a question.
        (refused,) = await answer(7, call("chat", options={"text": "hi"}))
        assert refused == Finished(Ending.SILENT)
