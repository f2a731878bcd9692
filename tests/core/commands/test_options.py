"""Options of calls, named or typed, and what is suggested for them."""

from __future__ import annotations

import pytest

from core.commands.choosing import Offer, kept_value
from core.commands.row import Command, Kind, Option
from core.commands.suggesting import MOST, Suggestions
from core.commands.table import COMMANDS
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from tests.builders import call

ROW = Command(
    "warn", "moderate", options=(Option("user", kind=Kind.USER), Option("reason", kind=Kind.LONG), Option("more"))
)
NAMES = ["large-one", "one-small", "other"]


def suggestions(*names: str, speaks: bool = False) -> Suggestions:
    models = [Model(name, "p", name) for name in names]
    if speaks:
        models.append(Model("voice", "p", "voice", kind="speech", voice="alloy"))
        models.append(Model("brush", "p", "brush", kind="image", does=("draw", "edit", "upscale")))
    return Suggestions(Catalog([Provider("p", "http://127.0.0.1:9/v1", "key")], models))


def test_typed_text_is_that_of_the_first_option_for_text() -> None:
    typed = call("warn", options={"text": " spam "})
    assert [ROW.value(typed, option.name) for option in ROW.options] == ["", "spam", ""]
    named = call("warn", options={"user": "7", "reason": "spam", "more": "x"})
    assert [ROW.value(named, option.name) for option in ROW.options] == ["7", "spam", "x"]


def test_a_line_is_the_same_typed_and_named() -> None:
    named = call("warn", options={"more": "c", "reason": "b", "user": "a", "unknown": "d"})
    assert ROW.words(named) == ROW.words(call("warn", options={"text": "a b c"})) == "a b c"


def suggested(of: Suggestions, command: str, option: str, typed: str = "", **more: str) -> list[str]:
    options = {option: typed, **more}
    return [one.value for one in of.suggest(command, option, options, "en", channels=True)]


def test_models_that_begin_so_come_first() -> None:
    of = suggestions(*NAMES)
    assert suggested(of, "model", "name") == NAMES
    assert suggested(of, "model", "name", "ONE") == ["one-small", "large-one"]
    assert suggested(of, "chat", "model", "nothing like it") == []
    assert len(suggested(suggestions(*map(str, range(40))), "model", "name")) == MOST


def test_a_settings_values_are_those_that_it_takes() -> None:
    of, offer = suggestions(*NAMES, speaks=True), Offer(tuple(NAMES), NAMES[0], True, True, channels=True)
    settings = suggested(of, "settings", "name")
    assert settings == ["model", "language", "buttons", "spoken", "answers", "threads"]
    for name in settings:
        values = suggested(of, "settings", "value", name=name)
        assert len(values) >= 2
        assert all(kept_value(name, value, offer, "en") is not None for value in values)
    assert suggested(of, "settings", "value", name="no such") == []
    assert "spoken" not in suggested(suggestions(), "settings", "name")


def test_languages_are_named_in_the_askers_own() -> None:
    found = suggestions().suggest("translate", "language", {"language": "德"}, "zh-CN")
    assert [(one.value, one.label) for one in found] == [("de", "德语")]


def test_tools_are_suggested_one_after_the_other() -> None:
    of = Suggestions(Catalog([], []), lambda: ("time", "draw"))
    assert suggested(of, "admin set", "value", field="tools") == ["auto", "off", "time", "draw"]
    assert suggested(of, "admin set", "value", "dra", field="tools") == ["draw"]
    assert suggested(of, "admin set", "value", "time, ", field="tools") == ["time, draw"]
    assert suggested(of, "admin set", "value", "time, draw, ", field="tools") == []
    (found,) = of.suggest("admin set", "value", {"field": "tools", "value": "时"}, "zh-CN")
    assert found.value == "time"


@pytest.mark.parametrize(
    ("command", "option"), [(row.name, option.name) for row in COMMANDS for option in row.options if option.suggests]
)
def test_whatever_is_marked_so_has_suggestions(command: str, option: str) -> None:
    chosen = {"name": "language", "field": "language"} if option == "value" else {}
    assert suggested(suggestions(*NAMES, speaks=True), command, option, **chosen)
