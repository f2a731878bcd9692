"""The settings of a space by their menus, through the whole of Parley: on Discord and in a group of Telegram's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.people.changing import history
from core.people.community import Community
from core.people.spaces import SpaceSettings
from core.settings import Settings
from core.storage.client import Store
from core.texts import say
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import TelegramChat, until
from tests.platforms.discord_components import walk
from tests.platforms.discord_plays import File
from tests.platforms.discord_world import LOADING, Interaction

GROUP, ADMIN, OTHER = -100_700, 6, 8
pytestmark = pytest.mark.usefixtures("no_limits")


async def settings_of(place: Village, space: str) -> SpaceSettings:
    return (await Community.of(Settings(), place.store).spaces.records.fresh(space)).value


@pytest.fixture
async def place(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    async with village(store, valkey_url, tmp_path, TELEGRAM_TOKEN="", PARLEY__DISCORD__FOOTER="false") as running:
        await until(lambda: bool(running.discord.world.commands), "commands")
        yield running
    assert running.discord.violations == []


class Server:
    """A guild of alice's, and bob, who is nobody there."""

    def __init__(self, place: Village) -> None:
        self.discord, self.world = place.discord, place.discord.world
        self.bob = self.world.add_user("bob")
        self.space = f"discord:{self.world.bot}:{self.world.guild['id']}"

    def text(self, made: Interaction) -> str:
        return self.world.find(made.original).text

    async def call(self, name: str, /, **options: Any) -> Interaction:
        made = self.discord.slash(name, options, self.world.general)

        def is_there() -> bool:
            return bool(made.original) and not self.world.find(made.original).data["flags"] & LOADING

        await until(is_there, f"an answer to {name}")
        assert self.world.find(made.original).ephemeral
        return made

    def offered(self, made: Interaction) -> list[str]:
        parts = list(walk(self.world.find(made.original).data["components"]))
        lists = [option["value"] for part in parts for option in part.get("options") or ()]
        return lists + [part["custom_id"] for part in parts if "custom_id" in part and "options" not in part]

    async def press(self, made: Interaction, end: str, user: str = "") -> Interaction:
        """Presses what ends so, as a button or from a list, and waits for the word or the page."""
        data = next(data for data in self.offered(made) if data.endswith(end))
        parts = walk(self.world.find(made.original).data["components"])
        play = self.discord.press if data in {part.get("custom_id") for part in parts} else self.discord.choose
        pressed = play(made.original, data, user=user)
        await until(lambda: bool(pressed.answered), f"an answer to {data}")
        return pressed


async def test_the_menu_and_its_form_on_discord(place: Village) -> None:
    server = Server(place)
    made = await server.call("admin set")
    await server.press(made, "@hearing")
    await until(lambda: "Quiet hours: **as set up**" in server.text(made), "the group's page")
    await server.press(made, " quiet")
    await until(lambda: any(data.endswith("quiet?") for data in server.offered(made)), "the field's page")
    asked = await server.press(made, "quiet?")
    answer = server.discord.submit(asked, {"value": "21 to 6:30"})
    await until(lambda: bool(answer.original) and "21:00-06:30" in server.text(answer), "the word on it")
    assert (await settings_of(place, server.space)).quiet == "21:00-06:30"
    # The menu still shows what was before: it says so, and then it can be used.
    old = await server.press(made, "quiet=23:00-08:00")
    await until(lambda: "Quiet hours: **21:00-06:30**" in server.text(made), "the page as it is now")
    await until(lambda: bool(old.followups), "the word on it")
    assert server.world.find(old.followups[0]).text == say("conflict")
    await server.press(made, "quiet=23:00-08:00")
    await until(lambda: "Quiet hours: **23:00-08:00**" in server.text(made), "the change")
    (newest, _) = await history(Community.of(Settings(), place.store), server.space)
    assert newest.name == "Alice"


async def test_suggestions_and_files_on_discord(place: Village) -> None:
    server = Server(place)
    typing = server.discord.suggest("admin set", "value", {"field": "answers", "value": ""}, server.world.general)
    await until(lambda: bool(typing.callback), "suggestions")
    assert {one["value"] for one in typing.callback["data"]["choices"]} == {"auto", "mentions", "always"}
    file = File("settings.toml", "application/toml", b"format = 1\n[settings]\nkeep_days = 9\n")
    made = await server.call("admin import", file=file)
    assert "as set up → 9" in server.text(made)
    await server.press(made, server.offered(made)[0])
    await until(lambda: "Days kept: **9**" in server.text(made), "the settings")
    assert (await settings_of(place, server.space)).keep_days == 9
    exported = await server.call("admin export")
    await until(
        lambda: bool(exported.followups) or "settings.toml" in str(server.world.find(exported.original).data), ""
    )


async def test_who_may_not_configure_changes_nothing_on_discord(place: Village) -> None:
    server = Server(place)
    refused = server.discord.slash(
        "admin set", {"field": "keep_days", "value": "9"}, server.world.general, user=server.bob
    )
    await until(lambda: bool(refused.original) and server.text(refused) == say("lacking.configure"), "the refusal")
    made = await server.call("admin set")
    pressed = await server.press(made, "@keeping", user=server.bob)
    assert pressed.callback["data"]["content"] == say("lacking.configure")
    assert await settings_of(place, server.space) == SpaceSettings()


async def press(chat: TelegramChat, end: str, user: int = ADMIN) -> str:
    markup: Any = chat.world.shown(chat.chat)[-1].markup
    cells = [cell["callback_data"] for row in markup["inline_keyboard"] for cell in row]
    data = next(cell for cell in cells if cell.endswith(end))
    query = chat.world.press(chat.chat, int(chat.ids[-1]), data, user=user)
    await until(lambda: bool(chat.world.queries[query]), f"a word on {data}")
    return str(chat.world.queries[query]["text"])


async def test_the_menu_in_a_group_of_telegrams(on_telegram: Village) -> None:
    chat, world = on_telegram.telegram_chat(GROUP), on_telegram.telegram.world
    world.chat(GROUP).admins.add(ADMIN)
    world.text(GROUP, "/admin set keep_days 7", user=OTHER)
    await until(lambda: chat.shown == [say("lacking.configure")], "the refusal")
    world.text(GROUP, "/admin set", user=ADMIN)
    await until(lambda: len(chat.shown) == 2 and bool(chat.world.shown(GROUP)[-1].markup), "the menu")
    await press(chat, "@keeping")
    await until(lambda: "Days kept: as set up" in chat.shown[-1], "the group's page")
    await press(chat, " keep_days")
    await until(lambda: "/admin set keep_days" in chat.shown[-1], "the field's page")
    assert await press(chat, "keep_days=30", user=OTHER) == say("lacking.configure")
    assert await press(chat, "keep_days=30") == say("settings_set")
    await until(lambda: "Days kept: 30" in chat.shown[-1], "the change")
    bot = next(id for id in (await Community.of(Settings(), on_telegram.store).spaces.records.ids()))
    assert (await settings_of(on_telegram, bot)).keep_days == 30
    file = b"format = 1\n[settings]\nlanguage = 'en'\n"
    sent = world.document(GROUP, file, "settings.toml", "application/toml", user=ADMIN)
    world.text(GROUP, "/admin import", user=ADMIN, reply_to=sent)
    await until(lambda: "Language: as set up → English" in chat.shown[-1], "what would change")
    assert await press(chat, "") == say("settings_set")
    await until(lambda: "Language: English" in chat.shown[-1], "the settings")
    assert (await settings_of(on_telegram, bot)).language == "en"
    world.text(GROUP, "/admin undo", user=ADMIN)
    await until(lambda: "English" in chat.shown[-1] and len(chat.shown) == 4, "taken back")
    assert (await settings_of(on_telegram, bot)).language == ""
    world.text(GROUP, "/admin export", user=ADMIN)
    await until(lambda: any("settings.toml" in str(call) for call in on_telegram.telegram.named("sendDocument")), "it")
