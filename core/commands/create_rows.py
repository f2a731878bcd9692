"""The rows of the command table for what is made besides text: pictures, sound, films."""

from __future__ import annotations

from core.access import Right
from core.commands import imagine, speak
from core.commands.row import Command, Kind, Option
from core.models.images import MAX_COUNT
from core.settings import SIZES

ROWS: tuple[Command, ...] = (
    Command("speak", "chat", speak.speak, right=Right.SPEAK, needs="speech"),
    Command(
        "imagine",
        "create",
        imagine.imagine,
        options=(
            Option("prompt", required=True, kind=Kind.LONG),
            Option("size", choices=tuple(SIZES)),
            Option("count", kind=Kind.INTEGER, least=1, most=MAX_COUNT),
        ),
        menu="message",
        right=Right.DRAW,
        needs="image",
    ),
)
