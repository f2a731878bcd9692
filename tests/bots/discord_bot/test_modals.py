"""Forms: opened for a long text that is missing, and filled in, perhaps under another process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bots.discord_bot import modals
from bots.discord_bot.modals import Reference
from core.commands.row import Command, Kind, Option
from core.commands.table import BY_NAME, COMMANDS
from core.message import AttachmentKind, CommandCall, Platform, Quote
from core.storage.client import Store
from tests.bots.discord_bot.running import Running, connected, until
from tests.builders import call, conversation
from tests.platforms import discord_components as shapes
from tests.platforms.discord_plays import File
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.discord_world import EPHEMERAL, Interaction

QUOTE = Quote("5", "Bob", "something said")


async def opened(discord: FakeDiscord, made: Interaction) -> dict[str, Any]:
    await until(lambda: bool(made.answered))
    assert made.callback["type"] == 9
    return made.callback["data"]


async def kept(store: Store) -> None:
    """The form is kept while somebody fills it in."""
    while not [key async for key in store.redis.scan_iter(match="parley:form:*")]:
        pass


async def first(bot: Running) -> CommandCall:
    (taken,) = await bot.accepted(1)
    assert isinstance(taken, CommandCall)
    return taken


async def test_a_long_question_with_files(bot: Running, store: Store) -> None:
    discord = bot.discord
    asked = discord.slash("chat", {}, discord.world.general, locale="zh-CN")
    form = await opened(discord, asked)
    assert form["title"] == BY_NAME["chat"].summary("zh")
    labels = form["components"]
    assert [label["component"]["type"] for label in labels] == [shapes.INPUT, 19]
    assert labels[0]["component"]["max_length"] == 4000
    assert labels[1]["component"]["max_values"] == 10
    await kept(store)
    text = "a long one\n" * 300
    made = discord.submit(asked, {"text": text, "file": [File("a.png", "image/png", b"1"), File("b.txt", "", b"2")]})
    taken = await first(bot)
    assert (taken.name, taken.options["text"], taken.id) == ("chat", text.strip(), made.id)
    assert [(a.name, a.kind) for a in taken.attachments] == [
        ("a.png", AttachmentKind.IMAGE),
        ("b.txt", AttachmentKind.DOCUMENT),
    ]
    assert taken.conversation == bot.key(discord.world.general)
    await until(lambda: bool(made.answered))
    assert made.callback == {"type": 5}


async def test_what_was_typed_before_is_not_asked_again_and_goes_along(discord: FakeDiscord, store: Store) -> None:
    bob = discord.world.add_user("bob")
    async with connected(discord, store, rows=COMMANDS):
        await until(lambda: bool(discord.world.commands))
        asked = discord.choose_in_menu(BY_NAME["warn"].called_in_menu(), bob, discord.world.general)
        form = await opened(discord, asked)
        assert [label["component"]["custom_id"] for label in form["components"]] == ["reason"]
        await kept(store)
    # Whichever process gets it.
    async with connected(discord, store, rows=COMMANDS, owner="another") as other:
        made = discord.submit(asked, {"reason": "spam"})
        taken = await first(other)
        assert (taken.name, dict(taken.options), taken.alone) == ("warn", {"user": bob, "reason": "spam"}, True)
        await until(lambda: bool(made.answered))
        assert made.callback["data"]["flags"] == EPHEMERAL


async def test_a_form_that_is_too_old_is_told(bot: Running, store: Store) -> None:
    asked = bot.discord.slash("chat")
    await opened(bot.discord, asked)
    await kept(store)
    await store.redis.flushdb()
    made = bot.discord.submit(asked, {"text": "hello"})
    await until(lambda: bool(made.original) and "too old" in bot.discord.world.find(made.original).text)
    assert bot.inbox.accepted == []


async def test_nobody_fills_in_the_form_of_another(bot: Running, store: Store) -> None:
    asked = bot.discord.slash("chat")
    await opened(bot.discord, asked)
    await kept(store)
    asked.user = bot.discord.world.add_user("eve")
    made = bot.discord.submit(asked, {"text": "hello"})
    await until(lambda: bool(made.original) and "too old" in bot.discord.world.find(made.original).text)
    assert bot.inbox.accepted == []


@pytest.mark.parametrize(
    ("name", "asked", "wanted"),
    [
        ("chat", {}, True),
        ("chat", {"options": {"text": "hi"}}, False),
        ("help", {}, False),
        # The message in whose menu it was chosen stands for the text.
        ("explain", {}, True),
        ("explain", {"quote": QUOTE}, False),
        ("summarize", {}, False),
        ("warn", {"options": {"user": "7"}}, True),
    ],
)
def test_when_a_form_is_wanted(name: str, asked: dict[str, Any], wanted: bool) -> None:
    assert modals.is_wanted(BY_NAME[name], call(name, **asked)) is wanted


def test_a_row_that_needs_more_than_the_message_asks_for_that() -> None:
    row = replace(BY_NAME["report"], options=(Option("user", kind=Kind.USER), Option("reason", True, Kind.LONG)))
    assert modals.is_wanted(row, call("report", quote=QUOTE))


@pytest.mark.parametrize("row", [row for row in COMMANDS if any(o.kind is Kind.LONG for o in row.options)])
def test_every_form_is_what_discord_takes(row: Command) -> None:
    place = conversation(platform=Platform.DISCORD)
    form = modals.form(row, call(row.name, conversation=place), Reference(row.name, "1" * 20, alone=True))
    assert 1 <= len(form["title"]) <= 45
    assert len(form["custom_id"]) <= 100
    shapes.check_modal(form["components"])


def test_a_forms_reference_is_read_strictly() -> None:
    for reference in (Reference("chat", "5", alone=True), Reference("warn", "6", alone=False)):
        assert Reference.parse(str(reference)) == reference
    for text in ("", ".form", ".form chat", "form chat 5 open", ".form chat 5 open more"):
        assert Reference.parse(text) is None
