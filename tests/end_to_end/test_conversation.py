"""What people do in a chat, on both platforms, through the whole of Parley."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest

from core.texts import say
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import Chat, until
from tests.platforms.openai_server import Fault

KINDS = ("telegram-private", "telegram-group", "discord")


@pytest.fixture(params=KINDS)
def chat(request: pytest.FixtureRequest, place: Village) -> Chat:
    if request.param == "discord":
        return place.discord_chat()
    return place.telegram_chat(77 if request.param == "telegram-private" else -100_500)


def said(message: dict[str, Any]) -> str:
    """A message of the prompt without the author's name and the time."""
    content: Any = message["content"]
    text = content if isinstance(content, str) else next(part["text"] for part in content if part["type"] == "text")
    return re.sub(r"^(Alice|Ann Lee \d+): ", "", text.rpartition("UTC)\n")[2])


def question(body: dict[str, Any]) -> str:
    return said(body["messages"][-1])


def sees(body: dict[str, Any]) -> str:
    """Tells what the model was shown: user and assistant messages, in order."""
    return " | ".join(said(message) for message in body["messages"][1:])


async def answers(chat: Chat, count: int) -> list[str]:
    await until(lambda: len(chat.shown) >= count and all(chat.shown), f"{count} answers, there are {chat.shown}")
    await asyncio.sleep(0.15)
    return chat.shown


async def shows(chat: Chat, text: str) -> None:
    await until(lambda: any(text in shown for shown in chat.shown), f"{text!r} in {chat.shown}")


async def test_an_answer_has_the_context_of_its_conversation(place: Village, chat: Chat) -> None:
    place.models.reply = lambda body: f"<{question(body)}>"
    chat.say("one")
    assert await answers(chat, 1) == ["<one>"]
    place.models.reply = sees
    chat.say("two")
    assert (await answers(chat, 2))[1] == "one | <one> | two"


async def test_messages_at_once_are_answered_in_order(place: Village, chat: Chat) -> None:
    place.models.reply = lambda body: f"<{question(body)}>"
    place.models.first_token = 0.05
    for text in "abc":
        chat.say(text)
    assert await answers(chat, 3) == ["<a>", "<b>", "<c>"]


async def test_an_edited_question_is_answered_anew_in_place(place: Village, chat: Chat) -> None:
    place.models.reply = lambda body: f"<{question(body)}>"
    asked = chat.say("before")
    await answers(chat, 1)
    ids = chat.ids
    chat.edit(asked, "after")
    await shows(chat, "<after>")
    assert chat.ids == ids
    place.models.reply = sees
    chat.say("next")
    assert (await answers(chat, 2))[1] == "after | <after> | next"


async def test_an_edit_while_the_answer_streams_starts_it_anew(place: Village, chat: Chat) -> None:
    place.models.reply = lambda body: f"<{question(body)}> " + "more words " * 200
    place.models.tokens_per_second = 100
    asked = chat.say("before")
    await until(lambda: place.models.active == 1, "the model")
    await asyncio.sleep(0.2)
    place.models.tokens_per_second = 0
    place.models.reply = lambda body: f"<{question(body)}>"
    chat.edit(asked, "after")
    await shows(chat, "<after>")
    # What the first answer had in further messages is taken back after that.
    await until(lambda: len(chat.shown) == 1, "one message")
    assert "before" not in chat.shown[0]


async def test_a_reply_branches_and_new_starts_afresh(place: Village, chat: Chat) -> None:
    place.models.reply = lambda body: f"<{question(body)}>"
    chat.say("one")
    first = await answers(chat, 1)
    assert first
    chat.say("two")
    await answers(chat, 2)
    place.models.reply = sees
    chat.reply(chat.ids[0], "three")
    assert (await answers(chat, 3))[2] == "one | <one> | three"


async def test_commands(place: Village) -> None:
    chat = place.telegram_chat(77)
    place.models.reply = sees
    chat.say("one")
    await answers(chat, 1)
    chat.say("/new")
    assert (await answers(chat, 2))[1] == say("new")
    chat.say("two")
    assert (await answers(chat, 3))[2] == "two"
    chat.say("/help")
    assert "/forget" in (await answers(chat, 4))[3]
    chat.say("/model")
    assert "stub" in (await answers(chat, 5))[4]
    chat.say("/model nope")
    assert "nope" in (await answers(chat, 6))[5]
    chat.say("/dance")
    assert "/dance" in (await answers(chat, 7))[6]
    chat.reply(chat.ids[2], "/forget")
    assert (await answers(chat, 8))[7] == say("forgotten")
    chat.say("three")
    assert (await answers(chat, 9))[8] == "three"
    chat.say("/regenerate")
    await until(lambda: len(place.models.requests) == 4, "the regenerated answer")
    chat.say("/chat four")
    assert (await answers(chat, 10))[9].endswith("four")


async def test_slash_commands(place: Village) -> None:
    place.models.reply = lambda body: f"<{question(body)}>"
    discord = place.discord
    interaction = discord.slash("chat", {"text": "hello"})
    await until(lambda: any("<hello>" in posted.text for posted in discord.by_bot()), "the answer")
    assert interaction is not None
    discord.slash("help")
    await until(lambda: any("/forget" in posted.text and posted.ephemeral for posted in discord.by_bot()), "the help")


async def test_stop(place: Village, chat: Chat) -> None:
    place.models.reply = lambda body: "word " * 500
    place.models.tokens_per_second = 100
    chat.say("go on for long")
    await until(lambda: place.models.active == 1, "the model")
    await asyncio.sleep(0.3)
    if isinstance(chat, type(place.discord_chat())):
        place.discord.slash("stop", channel=chat.channel)
    else:
        chat.say("/stop")
    await shows(chat, say("stopped"))
    await until(lambda: place.models.active == 0, "the model to be let go")
    assert any(text.startswith("word") and say("stopped") in text for text in chat.shown)


async def test_a_deleted_question_leaves_no_trace(place: Village) -> None:
    chat = place.discord_chat()
    place.models.reply = sees
    asked = chat.say("secret")
    await answers(chat, 1)
    place.discord.delete(asked)
    await asyncio.sleep(0.2)
    chat.say("next")
    assert (await answers(chat, 2))[1] == "next"
    dump = str([await place.store.redis.hgetall(key) async for key in place.store.redis.scan_iter("*tree*")])
    assert "secret" not in dump


async def test_groups_are_answered_only_when_addressed(place: Village) -> None:
    group = place.telegram_chat(-100_500)
    place.telegram.world.text(group.chat, "talking among ourselves", user=5)
    place.telegram.world.text(group.chat, "/help@other_bot", user=5)
    place.telegram.world.text(group.chat, "@parley_bot from a bot", user=6, is_bot=True)
    room = place.discord_chat()
    place.discord.say("talking among ourselves", room.channel)
    place.discord.say("from a bot", room.channel, mention=True, user=place.discord.world.add_user("robot", bot=True))
    group.say("hello")
    room.say("hello")
    await answers(group, 1)
    await answers(room, 1)
    assert len(place.models.requests) == 2


async def test_a_flood_from_one_person_gets_one_notice_and_disturbs_nobody(place: Village) -> None:
    place.models.first_token = 0.05
    flooder, other = place.telegram_chat(1), place.telegram_chat(2)
    for number in range(1000):
        flooder.say(f"spam {number}")
    began = time.monotonic()
    other.say("hello")
    await answers(other, 1)
    waited = time.monotonic() - began
    await until(lambda: any("not read" in text for text in flooder.shown), "the notice")
    await asyncio.sleep(0.3)
    assert sum("not read" in text for text in flooder.shown) == 1
    # 20 wait, and one notice is for the rest. While the flood comes in, as many are answered as Telegram takes at once,
    # which is 3, and one more.
    assert len(flooder.shown) <= 20 + 1 + 4
    assert waited < 15


async def test_what_cannot_be_read_gets_one_sentence(place: Village) -> None:
    chat = place.telegram_chat(77)
    chat.world.text(77, "", story={"chat": {"id": 5, "type": "private", "first_name": "Bo"}, "id": 3})
    assert "story" in (await answers(chat, 1))[0]
    chat.world.document(77, b"\x00" * 100, "a.exe", "application/octet-stream")
    await answers(chat, 2)
    assert place.models.requests == []


async def test_pictures_reach_the_model_and_broken_ones_are_told(place: Village) -> None:
    place.models.reply = lambda body: f"saw {sum(p['type'] == 'image_url' for p in body['messages'][-1]['content'])}"
    chat = place.telegram_chat(77)
    chat.world.photo(77, "what is this?")
    assert (await answers(chat, 1))[0] == "saw 1"
    chat.world.document(77, b"not a picture", "a.png", "image/png")
    assert (await answers(chat, 2))[1] == say("image_unreadable")


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (Fault.LENGTH, "length"),
        (Fault.CONTENT_FILTER, "filtered"),
        (Fault.EMPTY, "empty"),
        (Fault.SERVER_ERROR, "failed"),
        (Fault.HTML, "failed"),
        (Fault.STALL, "broken"),
        (Fault.RESET, "broken"),
        (Fault.NO_FINISH, "broken"),
    ],
)
async def test_every_ending_is_shown_as_what_it_is(place: Village, chat: Chat, fault: Fault, key: str) -> None:
    place.models.reply = lambda body: "some words that are said before anything goes wrong here"
    place.models.fail(fault, times=5)
    chat.say("hello")
    await shows(chat, say(key))
    assert len(place.models.requests) <= 3
    assert len(chat.shown) == 1
    assert ("continue" in chat.buttons()) == (key == "length")


async def test_a_cut_answer_goes_on_by_its_button(place: Village, chat: Chat) -> None:
    place.models.reply = lambda body: "the first half"
    place.models.fail(Fault.LENGTH)
    chat.say("hello")
    await until(lambda: "continue" in chat.buttons(), "the button")
    place.models.reply = lambda body: "the second half"
    chat.press(chat.ids[0], "continue")
    await shows(chat, "the second half")
    assert [m["content"] for m in place.models.requests[-1].messages if m["role"] == "assistant"] == ["the first half"]
