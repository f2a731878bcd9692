"""What the bot says when it comes into a group: how to talk with it there."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.commands.row import Room
from core.parts import Ending, Finished, Notice, Part

USERNAME, PRIVACY, SLASH = "username", "privacy", "slash"
"""Options of the call: the bot's name there, whether it sees only what turns to it, and whether its commands are chosen
from a list, where they need no name behind them."""


async def greeting(room: Room) -> AsyncIterator[Part]:
    """Nobody types it: a platform's adapter calls it, once however often the bot is added."""
    sentence = "greeting_slash" if SLASH in room.call.options else "greeting"
    yield Notice(sentence, {"username": room.call.options.get(USERNAME, "")})
    if PRIVACY in room.call.options:
        yield Notice("greeting_privacy")
    yield Finished(Ending.COMPLETE)
