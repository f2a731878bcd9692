"""A persona that was chosen for a Discord server answers there under its own name, from the first word to the last."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from core.message import ConversationKey, Platform
from core.people.spaces import Spaces, SpaceSettings, space_id
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import DiscordChat, town, until
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import FakeDiscord

SETTLE_SECONDS = 0.7


def let_in(discord: FakeDiscord) -> None:
    world = discord.world
    world.permissions.give(world.guild["id"], world.bot, May.MANAGE_WEBHOOKS)


def names(chat: DiscordChat) -> list[str]:
    return [posted.data["author"]["username"] for posted in chat.discord.by_bot(chat.channel)]


@pytest.fixture
async def chat(place: Village) -> DiscordChat:
    """In a server that chose the tutor, and that it speaks for itself."""
    let_in(place.discord)
    made = place.discord_chat()
    world = place.discord.world
    id = space_id(ConversationKey(Platform.DISCORD, world.bot, made.channel), world.guild["id"])
    await Spaces(place.store).change(id, lambda _: SpaceSettings(persona="tutor", own_voice=True))
    place.models.tokens_per_second = 60
    place.models.reply = lambda body: "word " * 30 + "one"
    return made


async def test_it_speaks_is_replied_to_made_anew_and_forgotten(place: Village, chat: DiscordChat) -> None:
    question = chat.say("why?")
    await until(lambda: bool(chat.shown) and chat.shown[0].endswith("one") and "forget" in str(chat.buttons()), "it")
    (answer,) = place.discord.by_bot(chat.channel)
    assert names(chat) == ["Tutor"]
    assert len(answer.history) > 1, "it grew"
    asked = place.models.requests[-1].body
    assert "patient tutor" in asked["messages"][0]["content"]
    assert asked["temperature"] == 0.5

    place.models.reply = lambda body: "two"
    chat.press(answer.id, "regenerate")
    await until(lambda: chat.shown == ["two"], "the answer made anew in its place")
    assert chat.ids == [answer.id]

    place.models.tokens_per_second = 0
    place.models.reply = lambda body: "in two pages " * 250
    chat.edit(question, "why now?")
    await until(lambda: len(chat.ids) == 2 and chat.buttons().count("regenerate") == 1, "two pages")
    assert (chat.ids[0], names(chat)) == (answer.id, ["Tutor", "Tutor"])
    place.models.reply = lambda body: "three"
    place.discord.say("and then?", chat.channel, reply_to=answer.id)
    await until(lambda: chat.shown[2:] == ["three"], "the answer to a reply without a mention")
    assert "in two pages" in str(place.models.requests[-1].body["messages"]), "its own words are in the history"
    await asyncio.sleep(0.1)
    assert len(place.models.requests) == 4, "nobody answers the persona"

    chat.press(chat.ids[1], ".forget")
    await until(lambda: "forget" in chat.buttons(), "the question whether to forget")
    assert names(chat) == ["Tutor"] * 3
    assert [call for call in place.discord.calls if call.status >= 400] == []


async def test_a_running_answer_is_stopped_by_its_button(place: Village, chat: DiscordChat) -> None:
    place.models.tokens_per_second = 10
    place.models.reply = lambda body: "word " * 200
    chat.say("why?")
    await until(lambda: "stop" in chat.buttons(), "the button")
    chat.press(chat.ids[0], "stop")
    await until(lambda: bool(chat.ids) and "stop" not in chat.buttons(), "the end")
    assert len(chat.shown[0]) < 900
    assert names(chat) == ["Tutor"]


async def test_one_that_is_made_in_a_form_answers_under_its_name(place: Village, chat: DiscordChat) -> None:
    await until(lambda: bool(place.discord.world.commands), "the commands")
    impostor = place.discord.slash("persona new", {"name": "\u0410lice", "instructions": "You."}, chat.channel)
    await until(
        lambda: bool(impostor.original) and "called like" in place.discord.world.find(impostor.original).text, "no"
    )
    asked = place.discord.slash("persona new", {"name": "Captain Jack"}, chat.channel)
    await until(lambda: asked.callback.get("type") == 9, "the form")
    place.discord.submit(asked, {"instructions": "You are a pirate.\nSay @everyone."})
    await until(lambda: any("Captain Jack" in text for text in chat.shown), "that it is kept")
    menu = place.discord.slash("persona choose", {}, chat.channel)
    await until(
        lambda: bool(menu.original) and "Captain Jack" in place.discord.world.find(menu.original).text, "a menu"
    )
    place.discord.choose(menu.original, "persona choose name=Captain Jack")
    await until(lambda: any("Captain Jack answers" in text for text in chat.shown), "the choice")
    place.discord.slash("persona edit", {"name": "captain jack", "field": "max_tokens", "value": "33"}, chat.channel)
    await until(lambda: sum("Captain Jack is kept" in text for text in chat.shown) == 2, "the edit")
    place.models.reply = lambda body: "@everyone Ahoy"
    chat.say("who are you?")
    await until(lambda: names(chat)[-1] == "Captain Jack", "the captain")
    assert place.discord.by_bot(chat.channel)[-1].pinged == []
    body = place.models.requests[-1].body
    assert "You are a pirate." in body["messages"][0]["content"]
    assert body["max_tokens"] == 33


async def test_a_kill_between_the_message_and_its_note_doubles_nothing(tmp_path: Path) -> None:
    now = tmp_path / "now"
    async with town(tmp_path, TELEGRAM_TOKEN="", PARLEY_WEB_PORT="0") as place:
        let_in(place.discord)
        place.models.reply = lambda body: "and so on " * 40 + "END"
        place.models.first_token, place.models.tokens_per_second = 0.05, 150
        await place.parley.start(PARLEY_FAULT="sent", PARLEY_FAULT_WHEN=str(now))
        await until(lambda: bool(place.discord.world.commands), "the commands")
        chat = DiscordChat(place)
        place.discord.slash("admin set", {"field": "persona", "value": "tutor"}, chat.channel)
        place.discord.slash("admin set", {"field": "own_voice", "value": "on"}, chat.channel)
        await until(lambda: len(chat.ids) == 2 and all(chat.shown), "the settings")
        chat.say("warm")
        await until(lambda: "Tutor" in names(chat) and chat.shown[-1].endswith("END"), "the tutor")
        before = len(chat.ids)

        now.touch()
        chat.say("question")
        assert await place.parley.ended() == -signal.SIGKILL
        await place.parley.start()
        await until(lambda: len(chat.ids) > before and chat.shown[-1].endswith("END"), "the answer")
        await asyncio.sleep(SETTLE_SECONDS)
        assert names(chat)[before:] == ["Tutor"]
        assert place.discord.violations == []


async def test_on_telegram_a_button_chooses_for_the_private_chat(on_telegram: Village) -> None:
    chat = on_telegram.telegram_chat()
    on_telegram.models.reply = lambda body: "END"
    chat.say("/persona")
    await until(lambda: "persona choose name=storyteller" in chat.buttons(), "the menu")
    chat.press(chat.ids[-1], "persona choose name=storyteller")
    await until(lambda: any("Where shall our story begin" in text for text in chat.shown), "the opening line")
    chat.say("at sea")
    await until(lambda: "END" in chat.shown[-1], "the answer")
    (system, *_) = on_telegram.models.requests[-1].body["messages"]
    assert "storyteller" in system["content"]
    assert "Where shall our story begin" in system["content"], "it knows what it said"
    chat.say("/new")
    await until(lambda: sum("Where shall our story begin" in text for text in chat.shown) == 2, "the new beginning")
