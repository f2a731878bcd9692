"""Where a link to the bot leads: ``/start`` alone greets, ``/start CODE`` goes to what the code names.

A platform's links carry a code, like ``https://t.me/BOT?start=settings`` or ``?startgroup=help``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from core.commands import chat, privacy, settings
from core.commands.choosing import Offer
from core.commands.row import Room
from core.conversation.history import Mode
from core.message import INLINE_QUESTION
from core.parts import Ending, Finished, Notice, Part, TextDelta

CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a code may be (the Bot API, "Deep linking")."""
DONE = Finished(Ending.COMPLETE)


@dataclass(frozen=True, slots=True)
class Link:
    """A place that a code leads to. ``run`` gets what stands behind the name and its ``_``."""

    name: str
    run: Callable[[Room, str], AsyncIterator[Part]]
    takes_value: bool = False


async def start(room: Room) -> AsyncIterator[Part]:
    """Greets, or follows a link."""
    code = room.words
    found = find(code) if code else None
    if found is None:
        # A code of another time or place is no reason to be impolite.
        yield Notice("welcome")
        yield DONE
        return
    link, value = found
    async for part in link.run(room, value):
        yield part


def find(code: str) -> tuple[Link, str] | None:
    """The link that a code names and the value in it; None for codes that nobody knows or that are none."""
    if not CODE.fullmatch(code):
        return None
    name, mark, value = code.partition("_")
    link = next((link for link in LINKS if link.name == name.lower()), None)
    return (link, value) if link is not None and link.takes_value == bool(mark and value) else None


def code_of(name: str) -> str:
    """A model's name as a part of a code, which has no room for dots and slashes."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def _help(room: Room, value: str) -> AsyncIterator[Part]:
    return chat.help(_said(room, ""))


def _settings(room: Room, value: str) -> AsyncIterator[Part]:
    return settings.settings(_said(room, ""))


def _model(room: Room, value: str) -> AsyncIterator[Part]:
    names = Offer.of(room.catalog, buttons=room.buttons).models
    return settings.model(_said(room, next((name for name in names if code_of(name) == value), value)))


def _privacy(room: Room, value: str) -> AsyncIterator[Part]:
    return privacy.privacy(_said(room, ""))


async def _inline(room: Room, value: str) -> AsyncIterator[Part]:
    """Goes on in private with what was asked in one message elsewhere: question and answer become a part of this
    conversation, if it is their asker who comes."""
    source = room.call.conversation.within(value)
    question = await room.history.asked(source, INLINE_QUESTION) if room.call.private else None
    known = await room.history.known(source, value, "")
    text = known.answer.text if known.answer is not None else ""
    if question is None or not text or question.asker != room.call.author.id:
        yield Notice("welcome")
        yield DONE
        return
    window = question.tokens
    path = await room.history.path(room.turn, Mode.ASK, question, id=room.call.id, reply_to="", window=window)
    if path is not None:
        room.turn.question = path.question
        yield TextDelta(text)
        is_cut = known.answer is not None and known.answer.ending == Ending.LENGTH
        yield Finished(Ending.LENGTH if is_cut else Ending.COMPLETE)
    else:
        yield Finished(Ending.SILENT)


def _said(room: Room, text: str) -> Room:
    """The room as if a command had been given with this value."""
    return replace(room, call=replace(room.call, options={"text": text} if text else {}))


LINKS: tuple[Link, ...] = (
    Link("help", _help),
    Link("settings", _settings),
    Link("privacy", _privacy),
    Link("model", _model, takes_value=True),
    Link("inline", _inline, takes_value=True),
)
