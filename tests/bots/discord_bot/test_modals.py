"""Forms: opened for a long text that is missing, and filled in, perhaps under another process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bots.discord_bot import interaction_intake, modals
from bots.discord_bot.interaction_intake import InteractionIntake
from bots.discord_bot.interactions import Deferrals
from bots.discord_bot.modals import Reference
from bots.discord_bot.pressing import Pressing
from bots.discord_bot.rest import Rest
from bots.pressing import Presses
from core.commands.row import Command, Kind, Option
from core.commands.suggesting import Suggestions
from core.commands.table import BY_NAME, COMMANDS
from core.conversation.history import History
from core.message import Attachment, AttachmentKind, CommandCall, Platform, Quote
from core.models.catalog import Catalog
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.forms import Forms
from tests.bots.discord_bot.running import ListInbox, Running, connected, until
from tests.builders import call, conversation
from tests.chaos.proxy import Proxy
from tests.platforms import discord_components as shapes
from tests.platforms.discord_plays import File
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_world import EPHEMERAL, Interaction

QUOTE = Quote("5", "Bob", "something said")
FILE = Attachment(AttachmentKind.IMAGE, "ref", "a.png", "image/png")


class Nowhere:
    """Implements ``calls.Around`` for a bot that is in no guild."""

    cdn = ""

    def place(self, guild: str, channel: str) -> str:
        return ""

    def above(self, guild: str, channel: str) -> tuple[str, ...]:
        return ()

    def is_in(self, guild: str) -> bool:
        return False

    def channel_name(self, guild: str, channel: str) -> str:
        return ""

    def role_name(self, guild: str, role: str) -> str:
        return ""

    def is_own_role(self, guild: str, role: str) -> bool:
        return False


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


async def test_the_newest_form_of_a_person_is_kept_and_no_other(bot: Running, store: Store) -> None:
    """However often somebody opens one."""
    first_one = bot.discord.slash("chat")
    await opened(bot.discord, first_one)
    await kept(store)
    second = bot.discord.slash("chat", {"model": "large"})
    await opened(bot.discord, second)
    (key,) = [key async for key in store.redis.scan_iter(match="parley:form:*")]
    while second.id not in await store.redis.get(key):
        pass
    gone = bot.discord.submit(first_one, {"text": "hello"})
    await until(lambda: bool(gone.original) and "too old" in bot.discord.world.find(gone.original).text)
    bot.discord.submit(second, {"text": "hello"})
    assert (await first(bot)).options == {"text": "hello", "model": "large"}


async def test_a_form_belongs_to_the_channel_that_it_was_opened_in(bot: Running, store: Store) -> None:
    world = bot.discord.world
    asked = bot.discord.slash("chat", {}, world.general)
    await opened(bot.discord, asked)
    await kept(store)
    asked.channel = world.add_channel(world.guild["id"], "elsewhere")
    made = bot.discord.submit(asked, {"text": "what was said there?"})
    await until(lambda: bool(made.original) and "too old" in world.find(made.original).text)
    assert bot.inbox.accepted == []


@dataclass
class Desk:
    """What takes interactions in, by itself, with a storage of its own."""

    discord: FakeDiscord
    intake: InteractionIntake

    def take(self, kind: int, data: dict[str, Any]) -> Interaction:
        """An interaction as the gateway would bring it."""
        made = self.discord.slash("chat")
        payload: dict[str, Any] = {
            "type": kind,
            "id": made.id,
            "token": made.token,
            "application_id": self.discord.world.application_id,
            "channel_id": made.channel,
            "user": self.discord.world.users[made.user],
            "data": data,
        }
        self.intake.take(payload, self.discord.world.bot, Nowhere())
        return made

    def submit(self, asked: str) -> Interaction:
        text = {"type": 18, "component": {"type": 4, "custom_id": "text", "value": "a long text"}}
        return self.take(5, {"custom_id": str(Reference("chat", asked, alone=False)), "components": [text]})


@asynccontextmanager
async def desk(discord: FakeDiscord, address: str) -> AsyncGenerator[Desk]:
    rest, store, nothing = Rest(discord.api_base, TOKEN), Store(address), Catalog((), ())
    deferrals, history = Deferrals(rest), History(store, keep_days=1, max_messages=10)
    pressing = Pressing(rest, deferrals, Presses(history, nothing, Community.of(Settings(), store), buttons=True))
    intake = InteractionIntake(rest, deferrals, pressing, COMMANDS, Forms(store), Suggestions(nothing))
    try:
        yield Desk(discord, intake)
    finally:
        await intake.finish(ListInbox(), 1.0)
        await rest.close()
        await store.close()


async def test_a_form_that_comes_as_the_process_stops_is_told(
    discord: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the storage is away."""
    monkeypatch.setattr(interaction_intake, "CALLBACK_SECONDS", 0.05)
    async with desk(discord, "redis://127.0.0.1:1") as open_desk:
        made = open_desk.submit("5")
        await open_desk.intake.finish(ListInbox(), 1.0)
        assert "try again" in discord.world.find(made.original).text


async def test_a_form_that_could_not_be_kept_yet_is_waited_for(discord: FakeDiscord, valkey_socket: Path) -> None:
    inbox = ListInbox()
    async with Proxy(valkey_socket) as detour, desk(discord, f"redis://127.0.0.1:{detour.port}") as open_desk:
        open_desk.intake.start(inbox)
        detour.refuses = True
        asked = open_desk.take(2, {"type": 1, "name": "chat"})
        await opened(discord, asked)
        # The pauses between the tries are long by now.
        await asyncio.sleep(0.2)
        detour.refuses = False
        made = open_desk.submit(asked.id)
        await until(lambda: bool(made.answered))
        assert [value.update for value in inbox.accepted] == [made.id]


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
        ("summarize", {"quote": QUOTE}, False),
        ("imagine", {"quote": QUOTE}, False),
        # So does a file.
        ("chat", {"attachments": (FILE,)}, False),
        ("explain", {"quote": QUOTE, "attachments": (FILE,)}, False),
        # A menu has no room for what may be said with a command.
        ("report", {"quote": QUOTE}, True),
        ("report", {"options": {"user": "7"}}, False),
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
    for reference in (Reference("chat", "5", alone=True), Reference("admin block", "6", alone=False)):
        assert Reference.parse(str(reference)) == reference
    for text in ("", ".form", ".form chat", "form chat 5 open", ".form chat 5 open more"):
        assert Reference.parse(text) is None
