"""Buttons as Telegram's inline keyboards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from bots.adapter import Button

PRESS = "press-"
"""The id of a pressed button's call begins so; behind it stands that of the callback query."""
MAX_CALLBACK_BYTES = 64
MAX_IN_ROW = 8
MAX_BUTTONS = 100


def inline_keyboard(buttons: Sequence[Button]) -> list[list[dict[str, str]]]:
    """The rows. A button whose command is too long for Telegram is left out: the command can still be typed."""
    fitting = [b for b in buttons if len(b.command.encode("utf-8")) <= MAX_CALLBACK_BYTES][:MAX_BUTTONS]
    rows = [list(row) for _, row in groupby(fitting, key=lambda button: button.row)]
    return [
        [_cell(button) for button in row[at : at + MAX_IN_ROW]] for row in rows for at in range(0, len(row), MAX_IN_ROW)
    ]


def _cell(button: Button) -> dict[str, str]:
    return {"text": button.label, **({"url": button.url} if button.url else {"callback_data": button.command})}


def reply_markup(buttons: Sequence[Button]) -> dict[str, Any]:
    """The field of a call; none where there are no buttons, which takes those away that were there."""
    rows = inline_keyboard(buttons)
    return {"reply_markup": {"inline_keyboard": rows}} if rows else {}
