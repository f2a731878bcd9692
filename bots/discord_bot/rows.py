"""Buttons as Discord's action rows. Many values of one list become a drop-down list, which Discord calls a select."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from bots.adapter import Button

ACTION_ROW, BUTTON, SELECT = 1, 2, 3
"""Types of components."""
SECONDARY, DANGER, LINK = 2, 4, 5
"""Styles of buttons."""
MAX_ROWS = 5
"""Of a message; one with components of the second version has room for more."""
MAX_IN_ROW = 5
MAX_OPTIONS = 25
MAX_LABEL = 80
MAX_COMMAND = 100
"""Characters of a ``custom_id``, and of an option's label and value."""
MAX_PLACEHOLDER = 150
LIST = ".list"
"""A select's ``custom_id`` begins so: what is asked for stands in the option that was chosen."""

Component = dict[str, Any]


def rows(buttons: Sequence[Button]) -> list[Component]:
    """The action rows, at most :data:`MAX_ROWS`. A button whose command is too long for Discord is left out: it can
    still be typed."""
    known = {button.url or button.command: button for button in buttons}
    fitting = [button for button in known.values() if button.url or len(button.command) <= MAX_COMMAND]
    made: list[Component] = []
    for among, group in groupby(fitting, key=lambda button: button.among):
        listed = list(group)
        if among and len(listed) > MAX_IN_ROW:
            for chunk in _chunks(listed, MAX_OPTIONS):
                # Of several lists each says which part it is.
                part = f": {chunk[0].label} – {chunk[-1].label}" if len(chunk) < len(listed) else ""
                made.append(_row([_select(among + part, chunk, f"{LIST}{len(made)}")]))
        else:
            for _, row in groupby(listed, key=lambda button: button.row):
                made += [_row([_button(button) for button in chunk]) for chunk in _chunks(list(row), MAX_IN_ROW)]
    return made[:MAX_ROWS]


def _chunks(buttons: Sequence[Button], most: int) -> Iterable[Sequence[Button]]:
    return (buttons[at : at + most] for at in range(0, len(buttons), most))


def _row(components: list[Component]) -> Component:
    return {"type": ACTION_ROW, "components": components}


def _button(button: Button) -> Component:
    label = button.label[:MAX_LABEL]
    if button.url:
        return {"type": BUTTON, "style": LINK, "label": label, "url": button.url}
    style = DANGER if button.grave else SECONDARY
    return {"type": BUTTON, "style": style, "label": label, "custom_id": button.command}


def _select(asked: str, buttons: Sequence[Button], custom_id: str) -> Component:
    options = [{"label": button.label[:MAX_COMMAND], "value": button.command} for button in buttons]
    return {"type": SELECT, "custom_id": custom_id, "placeholder": asked[:MAX_PLACEHOLDER], "options": options}
