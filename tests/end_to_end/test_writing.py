"""Quizzes, proposals side by side, code as files, sampling: through the whole of Parley."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bots.pacing import Limits
from core.storage.client import Store
from core.texts import say
from tests.end_to_end.conftest import Village, models_file, village
from tests.end_to_end.running import TelegramChat, until
from tests.platforms import discord_wire as wire
from tests.platforms.discord_world import Posted
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import Fault as TelegramFault
from tests.platforms.telegram_world import Post

QUESTIONS = [
    {
        "question": "Is *this* <b>safe</b> @everyone?",
        "options": ["Yes", "No", "||no||"],
        "correct": 1,
        "explanation": "_So_.",
    },
    {"question": "2 + 2", "options": ["3", "4"], "correct": 1, "explanation": ""},
]


@pytest.fixture
async def place(
    store: Store, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Village]:
    """Without limits, so that many messages take no time."""
    monkeypatch.setattr("bots.pacing.DISCORD", Limits())
    monkeypatch.setattr("bots.pacing.TELEGRAM", Limits())
    async with village(store, valkey_url, tmp_path, PARLEY__DISCORD__FOOTER="false") as running:
        running.discord.wire.limits = wire.Limits(0, 0, 5.0, 0)
        await until(lambda: bool(running.discord.world.commands), "commands")
        running.models.reply = json.dumps({"questions": QUESTIONS})
        yield running


def polls(place: Village, chat: int) -> list[dict[str, Any]]:
    return [post.media["poll"] for post in place.telegram.world.shown(chat) if "poll" in post.media]


async def test_a_quiz_on_telegram_is_quizzes_that_tell_what_is_right(place: Village) -> None:
    chat = place.telegram_chat()
    chat.say("/quiz safety")
    await until(lambda: len(polls(place, 77)) == 2, "two polls")
    first, second = polls(place, 77)
    assert (first["question"], first["type"]) == ("Is *this* <b>safe</b> @everyone?", "quiz")
    assert (first["correct_option_ids"], first["explanation"]) == ([1], "_So_.")
    assert [option["text"] for option in second["options"]] == ["3", "4"]
    await until(lambda: place.models.active == 0, "the end")
    assert len(place.telegram.world.shown(77)) == 3
    assert say("quiz_solutions") not in str(place.telegram.world.texts(77))


async def test_where_polls_are_forbidden_the_quiz_is_in_words(place: Village) -> None:
    world = place.telegram.world
    world.group(-100500).forbidden.add("polls")
    world.text(-100500, "/quiz@parley_bot safety", user=5)
    await until(lambda: any(say("quiz_solutions") in text for text in world.texts(-100500)), "the answers")
    _, first, second, told = world.shown(-100500)
    # Nobody is called by it.
    assert "Is *this* <b>safe</b> @\u2060everyone?" in first.text
    assert "B: 4" in second.text
    assert _hidden(told) == ["B: No (_So_.)", "B: 4"]


def _hidden(post: Post) -> list[str]:
    units = post.text.encode("utf-16-le")
    spans = [(e["offset"], e["offset"] + e["length"]) for e in post.entities if e["type"] == "spoiler"]
    return [units[2 * begin : 2 * end].decode("utf-16-le") for begin, end in spans]


def of_bot(place: Village) -> list[Posted]:
    return place.discord.by_bot(place.discord.world.general)


async def test_a_quiz_on_discord_is_polls_and_the_answers_hidden(place: Village) -> None:
    discord = place.discord
    discord.slash("quiz", {"topic": "safety", "count": 2}, discord.world.general)
    await until(lambda: any(say("quiz_solutions") in posted.text for posted in of_bot(place)), "the answers")
    asked = [posted.data["poll"] for posted in of_bot(place) if posted.data.get("poll")]
    assert [poll["question"]["text"] for poll in asked] == [row["question"] for row in QUESTIONS]
    assert [answer["poll_media"]["text"] for answer in asked[1]["answers"]] == ["3", "4"]
    told = of_bot(place)[-1]
    assert "||B: No " in told.text
    assert told.pinged == []


def pressable(post: Post) -> list[str]:
    rows: list[list[dict[str, Any]]] = post.markup["inline_keyboard"] if post.markup else []
    return [button["callback_data"] for row in rows for button in row]


async def shown(chat: TelegramChat, count: int, place: Village) -> Post:
    """The newest of so many messages."""
    await until(lambda: len(chat.world.shown(77)) == count and place.models.active == 0, f"{count}: {chat.shown}")
    return chat.world.shown(77)[-1]


async def test_one_of_several_proposals_goes_on_as_the_conversation(place: Village) -> None:
    numbers = itertools.count(1)
    place.models.reply = lambda _: f"idea {next(numbers)}"
    chat = place.telegram_chat()
    chat.say("/ideas count=3 names for a dog")
    await until(lambda: bool(chat.shown) and "idea 3" in chat.shown[0], "three ideas")
    await until(lambda: "pick 2" in pressable(chat.world.shown(77)[0]), "buttons")
    assert [len(request.body["messages"]) for request in place.models.requests] == [2, 2, 2]
    place.telegram.world.press(77, chat.world.shown(77)[0].id, "pick 2")
    picked = await shown(chat, 2, place)
    assert picked.text.startswith("idea ")
    assert picked.text in chat.shown[0]
    assert len(place.models.requests) == 3
    chat.say("make it longer")
    await shown(chat, 3, place)
    *_, choice, answer, wish = [message["content"] for message in place.models.requests[-1].messages]
    assert "number 2" in choice
    assert (answer, wish.splitlines()[-1]) == (picked.text, "make it longer")
    place.telegram.world.text(77, "/pick 9", reply_to=int(chat.ids[0]))
    assert (await shown(chat, 4, place)).text == say("pick_unknown")


async def test_code_comes_as_a_file_too(place: Village) -> None:
    place.models.reply = "**sort.py**\n```python\nprint(1)\n```"
    chat = place.telegram_chat()
    chat.say("/code language=python sort a list")
    file = await shown(chat, 2, place)
    assert file.media["document"]["file_name"] == "sort.py"
    assert place.telegram.world.files[file.media["document"]["file_id"]][1] == b"print(1)\n"


async def test_a_conversations_sampling_holds_below_a_calls(place: Village) -> None:
    place.models.reply = "yes"
    chat = place.telegram_chat()
    for number, (typed, part) in enumerate(
        [
            ("/sampling temperature 7", "from 0 to 2"),
            ("/sampling colour red", "no `colour` to sample by".replace("`", "")),
            ("/sampling num_beams 4", "takes no num"),
            ("/sampling temperature 0.4", "0.4"),
            ("/sampling stop END|@all", "@all"),
        ],
        1,
    ):
        chat.say(typed)
        assert part in (await shown(chat, number, place)).text
    chat.say("hello")
    await shown(chat, 6, place)
    asked = place.models.requests[-1].body
    assert (asked["temperature"], asked["stop"], "num_beams" in asked) == (0.4, ["END", "@all"], False)
    chat.say("/write temperature=1.1 num_beams=2 a poem about rain")
    written = await shown(chat, 7, place)
    assert "num" in written.text
    assert (place.models.requests[-1].body["temperature"], place.models.requests[-1].body["stop"][0]) == (1.1, "END")
    chat.say("/sampling reset")
    await shown(chat, 8, place)
    chat.say("hello again")
    await shown(chat, 9, place)
    assert {"temperature", "stop"} & set(place.models.requests[-1].body) == set()


async def test_a_poll_whose_answer_is_lost_is_not_sent_twice(place: Village) -> None:
    place.telegram.fail("sendPoll", TelegramFault.RESET_AFTER)
    chat = place.telegram_chat()
    chat.say("/quiz safety")
    place.discord.slash("quiz", {"topic": "safety"}, place.discord.world.general)
    await until(lambda: len(polls(place, 77)) == 2, "two polls")
    await until(lambda: any(say("quiz_solutions") in posted.text for posted in of_bot(place)), "the answers")
    await until(lambda: place.models.active == 0, "the end")
    assert [poll["question"] for poll in polls(place, 77)] == [row["question"] for row in QUESTIONS]
    assert len([posted for posted in of_bot(place) if posted.data.get("poll")]) == 2


async def test_who_chose_a_model_that_is_gone_is_told_once(store: Store, valkey_url: str, tmp_path: Path) -> None:
    async with OpenAIServer(models=("stub", "second"), reply="yes") as models:
        (tmp_path / "parley.toml").write_text(models_file(models.url, "first", "second"))
        none = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "OPENAI_MODEL": "", "DISCORD_TOKEN": ""}
        async with village(store, valkey_url, tmp_path, **none) as running:
            chat = running.telegram_chat()
            chat.say("/model second")
            await until(lambda: len(chat.shown) == 1, "the choice")
            models.models = ("stub",)
            for number, question in enumerate(("hello", "again"), 2):
                chat.say(question)
                await until(lambda number=number: len(chat.shown) == number, question)
            told = say("model_gone", model="second")
            assert [told in text for text in chat.shown] == [False, True, False]
            assert all("yes" in text for text in chat.shown[1:])
            running.telegram.world.text(78, "hello")
            await until(lambda: len(running.telegram.world.texts(78)) == 1, "another's answer")
            assert told not in running.telegram.world.texts(78)[0]
