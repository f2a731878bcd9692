"""A message of the bot's as a press shows it, with other buttons or another text. Pure: bodies for Discord's calls.

A message of plain content keeps it when only its rows are given. One that is made of components is given whole: what
stands in it apart from the rows is taken over from what Discord says that it shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bots.adapter import Button
from bots.discord_bot.format import to_page
from bots.discord_bot.layout import COMPONENTS, NO_MENTIONS, finished, growing
from bots.discord_bot.rows import ACTION_ROW, rows

REFERENCE = "attachment://"
ONLY_TOLD = ("name", "size")
"""What Discord says of a file and does not take back."""

Payload = Mapping[str, Any]
Body = dict[str, Any]


def changed(message: Payload, buttons: Sequence[Button]) -> Body:
    """The same message with other buttons; none take those away that were there."""
    made = rows(buttons)
    if not _is_of_components(message):
        return {"components": made}
    files = {str(file["id"]): str(file["filename"]) for file in message.get("attachments") or ()}
    kept = [_taken_over(component, files) for component in message["components"] if component["type"] != ACTION_ROW]
    return {"components": [*kept, *made], "flags": COMPONENTS, "allowed_mentions": NO_MENTIONS}


def replaced(message: Payload, markdown: str, buttons: Sequence[Button]) -> Body:
    """Another text in the same message, with its buttons."""
    page = replace(to_page(markdown), buttons=tuple(buttons))
    return finished(page) if _is_of_components(message) else growing(page)


def _is_of_components(message: Payload) -> bool:
    return bool(message.get("flags", 0) & COMPONENTS)


def _taken_over(component: Payload, files: Mapping[str, str]) -> Body:
    """A component as it may be given back: its files are named as the message's own."""
    made = {key: value for key, value in component.items() if key not in ONLY_TOLD}
    for key in ("components", "items"):
        if made.get(key):
            made[key] = [_taken_over(part, files) for part in made[key]]
    if made.get("accessory"):
        made["accessory"] = _taken_over(made["accessory"], files)
    for key in ("media", "file"):
        if made.get(key):
            made[key] = {"url": _address(made[key], files)}
    return made


def _address(media: Payload, files: Mapping[str, str]) -> str:
    """The address that Discord gave to an attachment runs out; its name does not."""
    name = files.get(str(media.get("attachment_id") or ""))
    return f"{REFERENCE}{name}" if name else str(media["url"])
