"""Typed words become subcommands and options."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.commands.option import Kind, Option
from core.commands.row import Command, Room
from core.commands.table import meant
from core.commands.typed import LEFT, spread
from core.message import Quote
from core.parts import Part
from tests.builders import call

OPTIONS = (
    Option("right", required=True),
    Option("user", kind=Kind.USER),
    Option("channel", kind=Kind.CHANNEL),
    Option("file", kind=Kind.FILE),
    Option("why", kind=Kind.LONG),
)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("", {}),
        ("  draw ", {"right": "draw"}),
        ("draw 12 -100 too  many", {"right": "draw", "user": "12", "channel": "-100", "why": "too  many"}),
        ("draw <@!12> <#34>", {"right": "draw", "user": "12", "channel": "34"}),
        ("draw since it is so", {"right": "draw", "why": "since it is so"}),
        ('"draw it" “12”', {"right": "draw it", "user": "12"}),
        ('channel=34 draw why="a b"', {"right": "draw", "channel": "34", "why": "a b"}),
        ("draw colour=blue 12", {"right": "draw", "why": "colour=blue 12"}),
        ('draw "never closed', {"right": "draw", "why": '"never closed'}),
        ('draw 12 34 "all of it"', {"right": "draw", "user": "12", "channel": "34", "why": "all of it"}),
        ("draw user=Ada", {"right": "draw", "user": "Ada"}),
        # Digits of other scripts are no account.
        ("draw １２ x", {"right": "draw", "why": "１２ x"}),
        ("draw 12 34 line\nnext line", {"right": "draw", "user": "12", "channel": "34", "why": "line\nnext line"}),
    ],
)
def test_words_are_spread_over_the_options(text: str, given: dict[str, str]) -> None:
    assert spread(text, OPTIONS) == given


WHO = (
    Option("right", required=True, choices=("draw",)),
    Option("user", kind=Kind.USER),
    Option("role", choices=("member", "admin")),
    Option("channel", kind=Kind.CHANNEL),
)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("draw Member 34", {"right": "draw", "role": "Member", "channel": "34"}),
        ("draw 12 34", {"right": "draw", "user": "12", "channel": "34"}),
        ("draw discord:12 admin", {"right": "draw", "user": "discord:12", "role": "admin"}),
        ("what 12", {"right": "what", "user": "12"}),
        ("draw owner 12", {"right": "draw", LEFT: "owner 12"}),
    ],
)
def test_what_may_be_left_out_is_not_taken_for_something_else(text: str, given: dict[str, str]) -> None:
    assert spread(text, WHO) == given


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("admin", "retry all", ("admin retry", "all")),
        ("admin", " Retry\n a  b", ("admin retry", "a  b")),
        ("admin", "重试 all", ("admin retry", "all")),
        ("admin", "", ("admin", "")),
        ("admin", "explode", ("admin", "explode")),
        ("chat", "retry all", ("chat", "retry all")),
    ],
)
def test_a_subcommand_is_meant_by_its_word(name: str, text: str, found: tuple[str, str]) -> None:
    assert meant(name, text) == found


async def nothing(_: Room) -> AsyncIterator[Part]:
    return
    yield


def test_who_wrote_the_message_replied_to_stands_for_a_required_person() -> None:
    row = Command("admin retry", "admin", nothing, (Option("user", True, Kind.USER), Option("role")), spread=True)
    about = Quote("5", "Ada", "hello", author_id="77")
    replied = call("admin retry", options={"text": "moderator"}, quote=about)
    assert (row.value(replied, "user"), row.value(replied, "role")) == ("77", "moderator")
    typed = call("admin retry", options={"text": "12 moderator"})
    assert (row.value(typed, "user"), row.value(typed, "role")) == ("12", "moderator")
    both = call("admin retry", options={"text": "12 moderator"}, quote=about)
    assert (row.value(both, "user"), row.value(both, "role")) == ("12", "moderator"), "who is named is meant"
    chosen = call("admin retry", options={"user": "12", "role": "moderator"}, quote=about)
    assert (row.value(chosen, "user"), row.value(chosen, "role")) == ("12", "moderator")


def test_a_spread_row_has_no_option_that_typed_text_would_be() -> None:
    with pytest.raises(ValueError, match="'text'"):
        Command("x", "admin", nothing, (Option("text"),), spread=True)
