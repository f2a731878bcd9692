"""What Telegram shows of the bot by itself: by place and language, sent only where it changed."""

from __future__ import annotations

import pytest

from bots.telegram_bot.api import Api
from bots.telegram_bot.menu import BotMenu
from core.commands.table import COMMANDS
from core.storage.client import Store
from core.storage.shared import Memory
from core.texts import say
from tests.platforms.telegram_server import Fault, TelegramServer

OWNER = 7


@pytest.fixture
def memory(store: Store) -> Memory:
    return Memory(store)


@pytest.fixture
def menu(api: Api, memory: Memory) -> BotMenu:
    return BotMenu(api, memory, COMMANDS, (f"telegram:{OWNER}", "discord:8"))


def setters(server: TelegramServer) -> list[str]:
    return [call.method for call in server.calls if call.method.startswith(("set", "delete"))]


async def test_each_place_has_the_commands_that_are_of_use_there(server: TelegramServer, menu: BotMenu) -> None:
    server.world.chat(OWNER)
    await menu.set_up("1")
    profile = server.methods.profile
    private, groups = profile.names("all_private_chats"), profile.names("all_group_chats")
    admins, owner = profile.names("all_chat_administrators"), profile.names(str(OWNER))
    assert {"new", "settings", "language", "help"} <= set(private)
    assert not {"chat", "admin", "start"} & set(private), "in a private chat nobody needs /chat"
    assert {"chat", "stop", "help"} <= set(groups)
    assert not {"settings", "language", "admin"} & set(groups)
    assert set(admins) > {*groups, "settings", "language", "warn", "cases", "reports"}
    assert set(owner) == {*private, "admin"}
    assert not any(" " in name for name in (*admins, *owner)), "first words alone"
    assert profile.menu_button == {"type": "commands"}


async def test_each_language_has_its_own_words(server: TelegramServer, menu: BotMenu) -> None:
    await menu.set_up("1")
    profile = server.methods.profile
    for code in ("", "zh"):
        shown = {row["command"]: row["description"] for row in profile.commands["all_private_chats", code]}
        assert shown["new"] == say("command.new", code)
        assert profile.descriptions[code] == say("bot_description", code)
        assert profile.short_descriptions[code] == say("bot_short_description", code)
    assert profile.descriptions[""] != profile.descriptions["zh"]


async def test_a_second_start_only_looks(server: TelegramServer, menu: BotMenu) -> None:
    server.world.chat(OWNER)
    await menu.set_up("1")
    server.calls.clear()
    await menu.set_up("1")
    assert [call.method for call in server.calls] == ["getMyCommands"]


async def test_only_what_changed_is_sent(server: TelegramServer, api: Api, memory: Memory, menu: BotMenu) -> None:
    await menu.set_up("1")
    server.calls.clear()
    fewer = [row for row in COMMANDS if row.name != "language"]
    await BotMenu(api, memory, fewer, ()).set_up("1")
    changed = {(c.fields["scope"]["type"], c.fields["language_code"]) for c in server.named("setMyCommands")}
    assert changed == {(s, code) for s in ("all_private_chats", "all_chat_administrators") for code in ("", "zh")}
    assert set(setters(server)) == {"setMyCommands"}


async def test_another_bot_over_the_same_store_has_its_own(server: TelegramServer, menu: BotMenu) -> None:
    await menu.set_up("1")
    server.calls.clear()
    await menu.set_up("2")
    assert "setMyCommands" in setters(server)


async def test_commands_that_somebody_else_set_are_put_right(server: TelegramServer, menu: BotMenu) -> None:
    await menu.set_up("1")
    server.methods.profile.commands.clear()
    await menu.set_up("1")
    assert server.methods.profile.names("all_private_chats")


async def test_the_bots_owner_keeps_their_own_description(server: TelegramServer, api: Api, memory: Memory) -> None:
    server.methods.profile.descriptions[""] = "Written at @BotFather"
    for rows in (COMMANDS, COMMANDS[1:]):
        await BotMenu(api, memory, rows, ()).set_up("1")
    assert server.methods.profile.descriptions == {"": "Written at @BotFather", "zh": say("bot_description", "zh")}


async def test_an_owner_who_never_wrote_gets_the_commands_once_they_have(server: TelegramServer, menu: BotMenu) -> None:
    await menu.set_up("1")
    assert not server.methods.profile.names(str(OWNER))
    assert server.methods.profile.names("all_private_chats")
    server.world.text(OWNER, "hello")
    await menu.set_up("1")
    assert "admin" in server.methods.profile.names(str(OWNER))


async def test_who_is_no_owner_any_more_loses_the_commands(
    server: TelegramServer, api: Api, memory: Memory, menu: BotMenu
) -> None:
    server.world.chat(OWNER)
    await menu.set_up("1")
    await BotMenu(api, memory, COMMANDS, ()).set_up("1")
    assert not server.methods.profile.names(str(OWNER))
    server.calls.clear()
    await BotMenu(api, memory, COMMANDS, ()).set_up("1")
    assert setters(server) == []


async def test_what_was_refused_is_tried_again_at_the_next_start(server: TelegramServer, menu: BotMenu) -> None:
    server.fail("setMyCommands", Fault.REFUSE, description="BOT_COMMAND_INVALID")
    server.fail("setMyDescription", Fault.RESET_BEFORE)
    await menu.set_up("1")
    server.calls.clear()
    await menu.set_up("1")
    assert len(setters(server)) >= 2
    server.calls.clear()
    server.world.chat(OWNER)
    await menu.set_up("1")
    await menu.set_up("1")
    assert server.methods.profile.descriptions.keys() == {"", "zh"}


async def test_a_pause_that_telegram_asks_for_is_kept(
    server: TelegramServer, menu: BotMenu, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("bots.telegram_bot.menu.asyncio.sleep", sleep)
    server.fail("setMyCommands", Fault.FLOOD, retry_after=17)
    await menu.set_up("1")
    assert pauses == [17]
    assert server.methods.profile.names("all_private_chats")
