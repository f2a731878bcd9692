"""Which buttons stand under answers, and what they mean when they are pressed."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from bots.adapter import Button, Capabilities
from bots.buttons import Buttons, command_of
from bots.growing import GrowingAnswer
from core.conversation.preferences import Preferences
from core.conversation.turn import Turn
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Choice, Ending, Finished, Menu, Part, TextDelta
from tests.builders import conversation, message

PROVIDERS = [Provider("p", "http://127.0.0.1:9/v1")]
ONE, TWO = Model("one", "p", "one"), Model("two", "p", "two")
VOICE = Model("voice", "p", "voice", kind="speech")
MENUS = Capabilities(max_text=100, edit_interval=1, group_edit_interval=1, buttons=True, menus=True)
NO_MENUS = Capabilities(max_text=100, edit_interval=1, group_edit_interval=1, buttons=True)
NOTHING = Capabilities(max_text=100, edit_interval=1, group_edit_interval=1)
MENU = Menu(((Choice("A", ".a"), Choice("B", ".b")), (Choice("C", ".c"),)), "in words")


def turn(preferences: Preferences | None = None, question: str = "5") -> Turn:
    chosen = preferences or Preferences()
    return Turn(conversation(), "1", "1", message(), question=question, preferences=chosen)


def commands(buttons: tuple[Button, ...]) -> list[str]:
    return [button.command for button in buttons]


def buttons(*models: Model, on: bool = True) -> Buttons:
    return Buttons(Catalog(PROVIDERS, models), on=on)


@pytest.mark.parametrize(
    ("data", "name", "options"),
    [
        ("continue", "continue", {}),
        ("feedback up", "feedback", {"text": "up"}),
        ("regenerate model=a b=c", "regenerate", {"model": "a b=c"}),
        ("admin retry id=a b", "admin retry", {"id": "a b"}),
        ("admin drop all", "admin drop", {"text": "all"}),
        (".set", ".set", {}),
        (".set model=", ".set", {"model": ""}),
        ("  ", "", {}),
    ],
)
def test_a_button_names_a_command(data: str, name: str, options: dict[str, str]) -> None:
    assert command_of(data) == (name, options)


def test_the_row_has_what_there_is() -> None:
    assert commands(buttons(ONE).at_the_end(turn(), Ending.COMPLETE, None, MENUS)) == ["regenerate", ".forget"]
    full = buttons(ONE, TWO, VOICE).at_the_end(turn(), Ending.LENGTH, None, MENUS)
    assert commands(full) == ["continue", "regenerate", ".models", "speak", ".forget"]
    assert [button.row for button in full] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("setting", "chosen", "shown"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_who_chose_otherwise_than_the_setting_has_their_way(setting: bool, chosen: bool | None, shown: bool) -> None:
    made, asked = buttons(ONE, on=setting), turn(Preferences(buttons=chosen))
    assert bool(made.at_the_end(asked, Ending.COMPLETE, None, MENUS)) is shown
    assert bool(made.while_it_grows(asked, MENUS)) is shown
    assert commands(made.at_the_end(asked, Ending.LENGTH, None, MENUS))[0] == "continue", "it is always needed"


def test_what_a_platform_lacks_is_left_out() -> None:
    made = buttons(ONE)
    assert commands(made.at_the_end(turn(), Ending.LENGTH, None, NO_MENUS)) == ["continue"]
    assert made.at_the_end(turn(), Ending.COMPLETE, None, NO_MENUS) == ()
    assert made.at_the_end(turn(), Ending.LENGTH, MENU, NOTHING) == ()
    assert made.while_it_grows(turn(), NO_MENUS) == ()
    assert commands(Buttons().at_the_end(turn(), Ending.LENGTH, None, MENUS)) == ["continue"]


def test_a_commands_answer_has_its_menu_and_nothing_else() -> None:
    made = buttons(ONE)
    assert made.at_the_end(turn(question=""), Ending.COMPLETE, None, MENUS) == ()
    shown = made.at_the_end(turn(question=""), Ending.COMPLETE, MENU, MENUS)
    assert [(button.label, button.row) for button in shown] == [("A", 0), ("B", 0), ("C", 1)]


@pytest.mark.parametrize(("menus", "text"), [(True, "page"), (False, "page\n\nin words")])
async def test_a_menu_is_words_where_there_are_none(menus: bool, text: str) -> None:
    async def parts() -> AsyncGenerator[Part]:
        yield TextDelta("page")
        yield MENU
        yield Finished(Ending.COMPLETE)

    answer = GrowingAnswer(turn(), menus=menus)
    await answer.read(parts())
    assert answer.whole(Ending.COMPLETE) == text
    assert (answer.menu is MENU) is menus
