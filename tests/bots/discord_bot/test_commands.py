"""The command table as Discord gets it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bots.discord_bot import permissions
from bots.discord_bot.commands import LOCALES, localised, sync, to_payload
from bots.discord_bot.rest import Rest
from core.access import Right
from core.commands.row import Command, Kind, Option
from core.commands.table import BY_NAME, COMMANDS
from core.errors import OutboundError
from core.texts import ENGLISH, closest, languages
from tests.bots.discord_bot.running import Notebook, settings_for
from tests.platforms import discord_registration
from tests.platforms.discord_server import FakeDiscord

SLASH, USER, MESSAGE = 1, 2, 3
SUBCOMMAND = 1


def slash(name: str, **changes: Any) -> dict[str, Any]:
    return next(made for made in to_payload([replace(BY_NAME[name], **changes)]) if made["type"] == SLASH)


def test_the_whole_table_is_what_discord_takes() -> None:
    payload = to_payload(COMMANDS)
    discord_registration.check(payload)
    listed = [row for row in COMMANDS if row.listed]
    made = {one["name"]: one for one in payload if one["type"] == SLASH}
    assert made.keys() == {row.name for row in listed if not row.parent}
    for name, one in made.items():
        below = [option["name"] for option in one["options"] if option["type"] == SUBCOMMAND]
        assert below == [row.word for row in listed if row.parent == name]
    assert {"Explain", "Translate", "Summarize"} <= {made["name"] for made in payload if made["type"] == MESSAGE}
    assert {"Cases", "Warn"} <= {made["name"] for made in payload if made["type"] == USER}


def test_names_and_words_are_localised() -> None:
    made = slash("chat")
    assert (made["name"], made["name_localizations"]["zh-CN"]) == ("chat", "聊天")
    assert made["description_localizations"]["zh-CN"] == BY_NAME["chat"].summary("zh")
    assert [option["name_localizations"]["zh-CN"] for option in made["options"]][:3] == ["内容", "文件", "模型"]
    menus = [one for one in to_payload([BY_NAME["explain"]]) if one["type"] == MESSAGE]
    assert menus[0]["name_localizations"]["zh-TW"] == "解释"
    assert "description" not in menus[0]


def test_every_english_name_is_the_rows_own() -> None:
    for row in COMMANDS:
        if row.listed:
            assert row.called() == row.name
            assert [row.named(option) for option in row.options] == [option.name for option in row.options]


def test_options_have_their_types() -> None:
    kinds = tuple(Option("name", kind=kind) for kind in Kind)
    assert [option["type"] for option in slash("model", options=kinds)["options"]] == [3, 3, 4, 10, 5, 11, 6, 7, 8]
    (number,) = slash("model", options=(Option("name", kind=Kind.INTEGER, least=1, most=20),))["options"]
    assert (number["min_value"], number["max_value"]) == (1, 20)


def test_choices_are_offered_where_few_and_suggested_where_many() -> None:
    (offered,) = slash("language")["options"]
    assert [choice["value"] for choice in offered["choices"]] == ["auto", *languages()]
    assert offered["choices"][0]["name_localizations"]["zh-CN"] == "自动"
    assert "autocomplete" not in offered
    (suggested,) = slash("model")["options"]
    assert suggested["autocomplete"]
    many = tuple(str(number) for number in range(26))
    assert "choices" not in slash("model", options=(Option("name", choices=many),))["options"][0]


def test_a_long_text_that_is_missing_is_no_error_to_discord() -> None:
    """The form asks for it."""
    assert not any(option["required"] for option in slash("chat")["options"])
    made = slash("settings", options=(Option("value"), Option("name", required=True)))["options"]
    assert [(option["name"], option["required"]) for option in made] == [("name", True), ("value", False)]


@pytest.mark.parametrize(
    ("changes", "permissions", "contexts", "ways"),
    [
        ({}, None, [0, 1, 2], [0, 1]),
        ({"for_admins": True}, permissions.MANAGE_GUILD, [0, 1, 2], [0, 1]),
        ({"right": Right.CONFIGURE}, permissions.MANAGE_GUILD, [0], [0]),
        ({"right": Right.WARN}, permissions.MODERATE_MEMBERS, [0], [0]),
        ({"right": Right.BAN}, permissions.BAN_MEMBERS, [0], [0]),
        ({"right": Right.PURGE}, permissions.MANAGE_MESSAGES, [0], [0]),
        ({"right": Right.TALK}, None, [0, 1, 2], [0, 1]),
        ({"for_owner": True}, 0, [0, 1], [0]),
    ],
)
def test_who_sees_it_and_where(
    changes: dict[str, Any], permissions: int | None, contexts: list[int], ways: list[int]
) -> None:
    made = slash("help", **changes)
    assert made["default_member_permissions"] == permissions
    assert (made["contexts"], made["integration_types"]) == (contexts, ways)


def test_subcommands_are_shown_to_whoever_may_use_one_of_them() -> None:
    failed, parent = BY_NAME["admin failed"], BY_NAME["admin"]
    warned = replace(failed, name="admin retry", for_owner=False, right=Right.WARN)
    chosen = replace(failed, name="admin drop", for_owner=False, right=Right.CONFIGURE)
    (made,) = to_payload([parent, failed, warned, chosen])
    assert [option["type"] for option in made["options"]] == [SUBCOMMAND] * 3
    assert made["options"][1]["name_localizations"]["zh-CN"] == "重试"
    assert made["default_member_permissions"] == permissions.MODERATE_MEMBERS
    assert (made["contexts"], made["integration_types"]) == ([0, 1], [0])
    (alone,) = to_payload([parent, failed])
    assert alone["default_member_permissions"] == 0


def test_long_texts_are_kept_within_discords_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    def summary(*_: object) -> str:
        return "x" * 200

    monkeypatch.setattr(Command, "summary", summary)
    made = slash("help")
    assert len(made["description"]) == len(made["description_localizations"]["zh-CN"]) == 100


def test_every_language_is_shown_where_discord_has_its_locale() -> None:
    said = localised(BY_NAME["stop"].summary)
    assert said["zh-CN"] == BY_NAME["stop"].summary("zh")
    assert not {"en-US", "en-GB", "de"} & said.keys()
    assert {closest(locale) for locale in said} | {ENGLISH} == set(languages())
    assert all(closest(locale.partition("-")[0]) in ("", closest(locale)) for locale in LOCALES)


async def test_they_are_registered_again_only_when_something_of_them_changed(discord: FakeDiscord) -> None:
    rest, notebook = Rest(discord.api_base, settings_for(discord).token.get_secret_value()), Notebook()
    application = discord.world.application_id
    rows = [BY_NAME["help"], BY_NAME["explain"]]
    menus = [replace(BY_NAME["explain"], menu="user")]
    try:
        assert [await sync(rest, application, rows, notebook) for _ in range(2)] == [True, False]
        # A menu alone, and then another Parley over the same memory that has the same.
        assert await sync(rest, application, [rows[0], *menus], notebook)
        assert not await sync(rest, application, [rows[0], *menus], notebook)
        assert [command["type"] for command in discord.world.commands] == [SLASH, SLASH, USER]
        # What was refused is not taken for registered.
        discord.fail("500", "commands", times=1)
        with pytest.raises(OutboundError):
            await sync(rest, application, rows, notebook)
        assert await sync(rest, application, rows, notebook)
    finally:
        await rest.close()
