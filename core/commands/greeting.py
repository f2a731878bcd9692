"""What the bot says when it comes into a group: how to talk with it there."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.commands.row import Room
from core.parts import Ending, Finished, Notice, Part

USERNAME, PRIVACY = "username", "privacy"
"""Options of the call: the bot's name there, and whether it sees only what turns to it."""


async def greeting(room: Room) -> AsyncIterator[Part]:
    """Nobody types it: a platform's adapter calls it, once however often the bot is added."""
    yield Notice("greeting", {"username": room.call.options.get(USERNAME, "")})
    if PRIVACY in room.call.options:
        yield Notice("greeting_privacy")
    yield Finished(Ending.COMPLETE)
