"""What is noted where something is not answered as it was wished, so that /why can tell it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime

import structlog

from core.conversation.turn import Turn
from core.errors import StorageError
from core.parts import Ending, Finished, Media, Notice, Part, TextDelta
from core.people.gate import Reason
from core.storage.notes import LONGEST_CAUSE, Note, Notes, Plain
from core.texts import Amount, Label, Moment, Value

log = structlog.get_logger()

TROUBLED = frozenset((Ending.FAILED, Ending.BROKEN, Ending.EMPTY, Ending.FILTERED))
MOST_CAUSES = 3
BY_SENTENCE = (
    ("lacking.", Reason.RIGHT),
    ("rights_unknown", Reason.RIGHT),
    ("budget_", Reason.BUDGET),
    ("limited_", Reason.LIMIT),
    ("busy", Reason.OVERLOAD),
    ("unsafe_", Reason.SAFETY),
    ("too_long", Reason.RULE),
    ("unsupported", Reason.RULE),
)
"""Beginnings of keys of sentences, and what those that begin so are about."""


async def note(notes: Notes, turn: Turn, reason: Reason, notice: Notice, causes: Sequence[str] = ()) -> None:
    """Keeps why a turn was not answered. It is no trouble where that fails."""
    incoming = turn.incoming
    values = {name: _plain(value) for name, value in notice.values.items()}
    kept = Note(
        message=incoming.id,
        account=incoming.author.id,
        reason=reason,
        at=time.time(),
        key=notice.key,
        values=values,
        causes=[cause[:LONGEST_CAUSE] for cause in causes[:MOST_CAUSES]],
    )
    try:
        await notes.keep(turn.conversation, kept)
    except StorageError as error:
        log.warning("why something was not answered could not be noted", cause=str(error))


async def noting(notes: Notes, turn: Turn, parts: AsyncGenerator[Part]) -> AsyncGenerator[Part]:
    """The parts of an answer; that it came to nothing, and what was said of it, is noted on the way."""
    last: Notice | None = None
    is_answered = False
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Notice):
                last = part
            elif isinstance(part, TextDelta | Media):
                is_answered = True
            elif isinstance(part, Finished) and (reason := reason_of(part.ending, None if is_answered else last)):
                said = last or Notice(part.ending)
                await note(notes, turn, reason, said, part.causes)
            yield part


def reason_of(ending: Ending, said: Notice | None) -> Reason | None:
    """Why an answer was none, by its ending and the last that was said of it; None where it was one."""
    told = next((reason for start, reason in BY_SENTENCE if said is not None and said.key.startswith(start)), None)
    return told or (Reason.ERROR if ending in TROUBLED else None)


def _plain(value: Value) -> Plain:
    match value:
        case Label(group, word):
            return ("label", group, word)
        case Moment(at):
            return ("moment", at.isoformat())
        case Amount(number, unit, is_least):
            return ("amount", str(number), unit, "least" if is_least else "")
        case str() | int():
            return value
        case _:
            return str(value)


def values_of(note: Note) -> dict[str, Value]:
    """What its sentence is filled with."""
    return {name: _value(value) for name, value in note.values.items()}


def _value(plain: Plain) -> Value:
    match plain:
        case ("label", group, word):
            return Label(group, word)
        case ("moment", at):
            return Moment(datetime.fromisoformat(at))
        case ("amount", number, unit, least):
            return Amount(float(number), unit, bool(least))
        case str() | int():
            return plain
        case _:
            return str(plain)
