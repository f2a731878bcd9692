"""Inline mode and reactions on Telegram, through the whole of Parley."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from bots.telegram_bot.inline_outbound import InlineOutbound
from core.message import Platform
from core.storage.client import Store
from core.storage.feedback import Feedback, Score
from tests.end_to_end.conftest import Village, models_file, village
from tests.end_to_end.running import town, until
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_inline import Inline, react

ASKER, OTHER, GROUP = 501, 502, -100_501
pytestmark = pytest.mark.usefixtures("no_limits")


@pytest.fixture
def place(on_telegram: Village) -> Village:
    return on_telegram


@pytest.fixture
def inline(place: Village) -> Inline:
    return place.telegram.methods.inline


async def typed(inline: Inline, text: str, user: int = ASKER) -> str:
    query = inline.type(user, text)
    await until(lambda: inline.queries[query].answer is not None, "results")
    return query


async def asked(inline: Inline, text: str) -> str:
    return inline.send(await typed(inline, text))


def said(inline: Inline, message: str) -> str:
    return inline.posts[message].text


def under(inline: Inline, message: str) -> list[str]:
    return [button.get("callback_data") or button["url"] for button in inline.buttons(message)]


async def counted(feedback: Feedback, *scores: Score) -> None:
    async with asyncio.timeout(10):
        while await feedback.scores() != list(scores):
            await asyncio.sleep(0.02)


async def finished(inline: Inline, message: str) -> None:
    await until(lambda: any("url" in button for button in inline.buttons(message)), "the end of the answer")


async def test_a_sent_result_is_answered_in_its_message(place: Village, inline: Inline) -> None:
    query = await typed(inline, "what is a fork?")
    # What is typed asks no model.
    assert place.models.requests == []
    message = inline.send(query)
    assert said(inline, message) == "what is a fork?\n…"
    await finished(inline, message)
    question, answer = said(inline, message).split("\n", 1)
    assert question == "what is a fork?"
    assert "what is a fork?" in answer
    post = inline.posts[message]
    assert post.entities[0] == {"type": "blockquote", "offset": 0, "length": len(question)}
    link = f"https://t.me/parley_bot?start=inline_{message}"
    assert under(inline, message) == ["regenerate", "feedback up", "feedback down", link]
    assert len(place.models.requests) == 1
    # Nothing else was sent to anybody.
    assert all(not chat.posts for chat in place.telegram.world.chats.values())


async def test_the_button_asks_where_telegram_does_not_tell(place: Village, inline: Inline) -> None:
    inline.feedback = False
    message = await asked(inline, "what is a pin?")
    ask = under(inline, message)[0]
    query = inline.press(message, ask, OTHER)
    world = place.telegram.world
    await until(lambda: bool(world.queries[query]), "a word")
    assert world.queries[query]["text"]
    assert place.models.requests == []
    inline.press(message, ask, ASKER)
    await finished(inline, message)
    assert "what is a pin?" in said(inline, message).split("\n", 1)[1]


async def test_told_and_pressed_it_is_asked_once(place: Village, inline: Inline) -> None:
    place.models.first_token = 0.3
    message = await asked(inline, "once?")
    inline.press(message, under(inline, message)[0], ASKER)
    await finished(inline, message)
    await until(lambda: not place.telegram.world.pending, "all updates")
    assert len(place.models.requests) == 1


async def test_the_answer_is_made_anew_for_its_asker(place: Village, inline: Inline) -> None:
    message = await asked(inline, "again?")
    await finished(inline, message)
    world = place.telegram.world
    stranger = inline.press(message, "regenerate", OTHER)
    await until(lambda: bool(world.queries[stranger]), "a word")
    assert len(place.models.requests) == 1
    inline.press(message, "regenerate", ASKER)
    await until(lambda: len(place.models.requests) == 2, "the second answer")
    await finished(inline, message)
    assert said(inline, message).startswith("again?\n")


async def test_what_is_too_long_is_read_in_private(place: Village, inline: Inline) -> None:
    long = " ".join(f"word-number-{n:04d}" for n in range(3000))
    place.models.reply = long
    message = await asked(inline, "tell me all")
    await finished(inline, message)
    assert said(inline, message).endswith(" …")
    assert len(said(inline, message)) < len(long)
    world = place.telegram.world
    code = under(inline, message)[-1].partition("start=")[2]
    # It is the asker's alone.
    world.text(OTHER, f"/start {code}")
    await until(lambda: bool(world.texts(OTHER)), "a greeting")
    assert "word-number" not in world.texts(OTHER)[0]
    world.text(ASKER, f"/start {code}")
    await until(lambda: "word-number-2999" in "".join(world.texts(ASKER)), "the whole answer")
    # It is a part of the private conversation from now on.
    place.models.reply = "short"
    world.text(ASKER, "and then?")
    await until(lambda: len(place.models.requests) == 2, "a further question")
    roles = [message["role"] for message in place.models.requests[-1].messages]
    assert roles == ["system", "user", "assistant", "user"]


async def test_a_model_can_be_chosen(store: Store, valkey_url: str, tmp_path: Path) -> None:
    async with OpenAIServer(models=("stub", "second")) as models:
        (tmp_path / "parley.toml").write_text(models_file(models.url, "first", "second"))
        none = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "OPENAI_MODEL": ""}
        async with village(store, valkey_url, tmp_path, DISCORD_TOKEN="", **none) as place:
            inline = place.telegram.methods.inline
            query = await typed(inline, "who?")
            results: list[dict[str, Any]] = (inline.queries[query].answer or {})["results"]
            assert [result["description"] for result in results] == ["Answered by first", "Answered by second"]
            message = inline.send(query, 1)
            await finished(inline, message)
            assert [request.model for request in models.requests] == ["second"]
            inline.feedback = False
            message = inline.send(await typed(inline, "and you?"), 1)
            inline.press(message, under(inline, message)[0], ASKER)
            await finished(inline, message)
            assert [request.model for request in models.requests] == ["second", "second"]


async def test_a_deleted_inline_message_costs_nothing(place: Village, inline: Inline) -> None:
    place.models.first_token = 0.3
    message = await asked(inline, "gone?")
    inline.posts[message].deleted = True
    await until(lambda: any(c.method == "editMessageText" and c.status == 400 for c in place.telegram.calls), "a try")
    place.telegram.world.text(ASKER, "hello")
    await until(lambda: bool(place.telegram.world.texts(ASKER)), "an answer elsewhere")
    assert [call.method for call in place.telegram.calls].count("editMessageText") <= 2


async def test_the_asker_stops_the_answer(place: Village, inline: Inline) -> None:
    place.models.tokens_per_second, place.models.reply = 20, "and so on " * 300
    message = await asked(inline, "stop?")
    await until(lambda: under(inline, message) == ["stop"], "the beginning")
    inline.press(message, "stop", OTHER)
    await until(lambda: not place.telegram.world.pending, "all updates")
    assert under(inline, message) == ["stop"]
    inline.press(message, "stop", ASKER)
    await finished(inline, message)
    assert said(inline, message).startswith("stop?\nand")
    assert "Stopped" in said(inline, message)


async def test_what_is_not_known_any_more_loses_its_buttons(place: Village, inline: Inline) -> None:
    message = await asked(inline, "old?")
    await finished(inline, message)
    await until(lambda: not place.telegram.world.pending, "all updates")
    await place.store.redis.flushall()
    before, world = said(inline, message), place.telegram.world
    query = inline.press(message, "regenerate", ASKER)
    await until(lambda: inline.buttons(message) == [], "the buttons gone")
    await until(lambda: bool(world.queries[query]), "a word")
    assert said(inline, message) == before
    assert world.queries[query]["text"].startswith("I do not remember")


@pytest.mark.parametrize("point", ["slotted", "edited"])
async def test_a_kill_leaves_no_message_without_its_answer(tmp_path: Path, point: str) -> None:
    now = tmp_path / "now"
    async with town(tmp_path, DISCORD_TOKEN="") as place:
        place.models.first_token, place.models.tokens_per_second = 0.05, 150
        place.models.reply = "and so on " * 30 + "END"
        await place.parley.start(PARLEY_FAULT=point, PARLEY_FAULT_WHEN=str(now))
        inline = place.telegram.methods.inline
        message = await asked(inline, "are you there?")
        await finished(inline, message)
        query = await typed(inline, "and now?")
        # From here on it may die any time, in the rest of the first answer, too.
        now.touch()
        message = inline.send(query)
        assert await place.parley.ended() == -signal.SIGKILL
        await place.parley.start()
        await finished(inline, message)
        assert said(inline, message).startswith("and now?\nand so on ")
        assert said(inline, message).endswith("END")
        assert all(not chat.posts for chat in place.telegram.world.chats.values())


async def test_reactions_are_counted_for_the_model(place: Village) -> None:
    world, feedback = place.telegram.world, Feedback(place.store, keep_days=1)
    question = world.text(ASKER, "hello")
    await until(lambda: bool(world.texts(ASKER)), "an answer")
    await until(lambda: len(world.pending) == 0, "all updates")
    (answer,) = (post.id for post in world.shown(ASKER))

    react(world, ASKER, question, "👍")
    react(world, ASKER, answer, "👍")
    await counted(feedback, Score("stub", 1, 0))
    react(world, ASKER, answer, "👎")
    await counted(feedback, Score("stub", 0, 1))
    react(world, ASKER, answer)
    await counted(feedback)


async def test_inline_answers_are_voted_for_by_their_buttons(place: Village, inline: Inline) -> None:
    message = await asked(inline, "good?")
    await finished(inline, message)
    await until(lambda: not place.telegram.world.pending, "all updates")
    feedback, world = Feedback(place.store, keep_days=1), place.telegram.world
    for user, verdict in ((ASKER, "up"), (OTHER, "up"), (OTHER, "down")):
        query = inline.press(message, f"feedback {verdict}", user)
        await until(lambda query=query: bool(world.queries[query]), "a word")
        assert world.queries[query]["text"] == "Thank you, noted."
    await counted(feedback, Score("stub", 1, 1))
    assert len(place.models.requests) == 1


def test_it_is_an_outbound_of_telegram() -> None:
    assert InlineOutbound.platform is Platform.TELEGRAM
