"""The buttons under answers, for every platform that has them: which ones there are, and what a press asks for.

A button holds a command as text, ``NAME``, ``NAME VALUE`` or ``NAME option=VALUE``, and nothing else: what it stands
under comes with the press. So buttons of any age mean today what they meant then. Names that begin with a dot turn
pages of the keyboard itself and are no commands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bots.adapter import Button, Capabilities
from core.commands import choosing
from core.commands.table import BY_NAME, meant
from core.conversation.preferences import Preferences
from core.conversation.turn import Turn
from core.models.catalog import Catalog
from core.parts import Choice, Ending, Menu
from core.texts import say

MODELS, FORGET, ROW = ".models", ".forget", ".row"
AGAIN_WITH = "regenerate model="
VOTES = ("up", "down")
GRAVE = re.compile(r"forget|privacy erase .+")
"""What cannot be taken back."""
MAX_IN_ROW = 5
"""Buttons side by side on the platform that has least room for them (Discord)."""
_OPTION = re.compile(r"([a-z_]{1,32})=(.*)", re.DOTALL)


def command_of(data: str) -> tuple[str, dict[str, str]]:
    """The command and the options that a button's text names."""
    name, _, rest = data.strip().partition(" ")
    name, rest = meant(name, rest.strip())
    if found := _OPTION.fullmatch(rest):
        return name, {found[1]: found[2]}
    return name, {"text": rest} if rest else {}


def laid_out(rows: Sequence[Sequence[Choice]]) -> tuple[Button, ...]:
    """Choices as buttons, each with its row."""
    return tuple(
        Button(c.label, c.command, number, among=c.among, grave=GRAVE.fullmatch(c.command) is not None)
        for number, row in enumerate(rows)
        for c in row
    )


class Buttons:
    """Decides what stands under answers."""

    def __init__(self, catalog: Catalog | None = None, *, on: bool = False) -> None:
        """``on`` is the setting ``chat.buttons``. Without a catalog there are only those that are needed to go on."""
        self._catalog = catalog
        self._on = on

    def while_it_grows(self, turn: Turn, able: Capabilities) -> tuple[Button, ...]:
        """Under a message that is still being written."""
        if not (able.menus and (turn.question or turn.creations) and self._wanted(turn.preferences)):
            return ()
        return (Button(say("button.stop", turn.language), "stop"),)

    def at_the_end(self, turn: Turn, ending: Ending, menu: Menu | None, able: Capabilities) -> tuple[Button, ...]:
        """Under an answer's last message."""
        if not able.buttons:
            return ()
        if menu is not None and able.menus:
            return laid_out(menu.rows)
        if not (able.menus and turn.question):
            return laid_out(_continue(ending, turn.language))
        return self.row(ending, turn.preferences, turn.language, votes=able.votes)

    def row(self, ending: str, preferences: Preferences, language: str, *, votes: bool = False) -> tuple[Button, ...]:
        """Under an answer that is in the tree: going on above, the rest in one row as far as there is room."""
        rows = _continue(ending, language)
        if self._wanted(preferences) and self._catalog is not None:
            making = [Choice(say("button.regenerate", language), "regenerate")]
            if len(self._catalog.models) > 1:
                making.append(Choice(say("button.models", language), MODELS))
            if "speak" in BY_NAME and self._catalog.has("speech"):
                making.append(Choice(say("button.speak", language), "speak"))
            judging = [Choice(say(f"button.{word}", language), f"feedback {word}") for word in VOTES if votes]
            judging.append(Choice(say("button.forget", language), FORGET))
            whole = (*making, *judging)
            rows = (*rows, whole) if len(whole) <= MAX_IN_ROW else (*rows, tuple(making), tuple(judging))
        return laid_out(rows)

    def models(self, current: str, language: str) -> tuple[Button, ...]:
        """In place of the row: with which model the answer is made anew."""
        names = [model.name for model in self._catalog.models] if self._catalog is not None else []
        return laid_out((*choosing.list_models(names, current, AGAIN_WITH, language), (_back(language),)))

    def forgetting(self, language: str) -> tuple[Button, ...]:
        """In place of the row: a second look before something is gone for good."""
        return laid_out(((Choice(say("button.forget_now", language), "forget"), _back(language)),))

    def _wanted(self, preferences: Preferences) -> bool:
        return self._on if preferences.buttons is None else preferences.buttons


def _continue(ending: str, language: str) -> tuple[tuple[Choice, ...], ...]:
    return ((Choice(say("button.continue", language), "continue"),),) if ending == Ending.LENGTH else ()


def _back(language: str) -> Choice:
    return Choice(say("button.back", language), ROW)
