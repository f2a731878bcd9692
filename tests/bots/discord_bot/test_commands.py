"""Slash commands made from rows."""

from __future__ import annotations

from bots.discord_bot.commands import LOCALES, SlashCommand, SlashOption, localised, to_payload
from core.commands.table import BY_NAME
from core.texts import ENGLISH, closest, languages


def test_a_row_as_discord_wants_it() -> None:
    row = SlashCommand(
        "chat",
        "Ask something",
        (SlashOption("model", "Which", choices=("a", "b")), SlashOption("text", "What", required=True)),
        descriptions={"zh-CN": "提问"},
    )
    (made,) = to_payload([row])
    assert made["name"] == "chat"
    assert made["description_localizations"] == {"zh-CN": "提问"}
    assert made["contexts"] == [0, 1]
    assert made["default_member_permissions"] is None
    assert [(option["name"], option["required"]) for option in made["options"]] == [("text", True), ("model", False)]
    assert made["options"][1]["choices"] == [{"name": "a", "value": "a"}, {"name": "b", "value": "b"}]


def test_long_texts_and_many_choices_are_kept_within_discords_limits() -> None:
    many = tuple(str(number) for number in range(26))
    row = SlashCommand("a", "x" * 200, (SlashOption("b", "y" * 200, choices=many),), descriptions={"de": "z" * 200})
    (made,) = to_payload([row])
    assert len(made["description"]) == len(made["description_localizations"]["de"]) == 100
    assert len(made["options"][0]["description"]) == 100
    assert "choices" not in made["options"][0]


def test_commands_for_guilds_and_moderators() -> None:
    (made,) = to_payload([SlashCommand("ban", "Bans", guild_only=True, permissions=4)])
    assert (made["contexts"], made["default_member_permissions"]) == ([0], 4)


def test_every_language_is_shown_where_discord_has_its_locale() -> None:
    said = localised(BY_NAME["stop"].summary)
    assert said["zh-CN"] == BY_NAME["stop"].summary("zh")
    assert not {"en-US", "en-GB", "de"} & said.keys()
    assert {closest(locale) for locale in said} | {ENGLISH} == set(languages())
    assert all(closest(locale.partition("-")[0]) in ("", closest(locale)) for locale in LOCALES)
