"""The owner's commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial

from core.commands.chat import typed_name, usable
from core.commands.row import Command, Room
from core.feedback import listed
from core.message import CommandCall
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.storage.failed import DeadLetters, Letter, Retried
from core.texts import one_line, say

DONE = Finished(Ending.COMPLETE)
LISTED = 20
"""Letters shown at once: about what one message of any platform holds."""
ALL = "all"
MAX_FOUND = 40


async def admin(room: Room) -> AsyncIterator[Part]:
    """By itself it tells which of its subcommands the caller may use here."""
    if words := room.words:
        yield Notice("admin_unknown", {"found": one_line(words, MAX_FOUND)})
    rows = [row for row in await usable(room) if row.parent == room.row.name]
    lines = [f"- `/{typed_name(room, row)}` {row.summary(room.language)}" for row in rows]
    if lines:
        yield TextDelta("\n".join((say("admin_head", room.language), "", *lines)))
    else:
        yield Notice("admin_nothing")
    yield DONE


async def failed(room: Room) -> AsyncIterator[Part]:
    """The dead letters."""
    yield await _listed(room)
    yield DONE


async def retry_failed(room: Room) -> AsyncIterator[Part]:
    """Asks again what is named, or all."""
    if which := room.value("id").lower():
        for notice in await retry(room.failed, which, room.rows):
            yield notice
    else:
        yield Notice("admin_how")
    yield DONE


async def drop_failed(room: Room) -> AsyncIterator[Part]:
    """Removes what is named, or all."""
    which = room.value("id").lower()
    yield await drop(room.failed, which) if which else Notice("admin_how")
    yield DONE


async def feedback(room: Room) -> AsyncIterator[Part]:
    """What people think of each model's answers."""
    lines = listed(await room.feedback.scores(), room.language)
    told = "\n".join((say("feedback_head", room.language), "", *(f"- {line}" for line in lines)))
    yield TextDelta(told) if lines else Notice("feedback_none")
    yield DONE


async def retry(failed: DeadLetters, which: str, rows: Sequence[Command]) -> list[Notice]:
    """Asks again: one letter by its id, or ``all``, oldest first. One sentence for each thing that came of it."""
    counts: Counter[Retried] = Counter()
    for id in await _meant(failed, which):
        counts[await failed.retry(id, partial(is_repeatable, rows=rows))] += 1
    outcomes = (Retried.RETRIED, Retried.UNREADABLE, Retried.UNREPEATABLE, Retried.ELSEWHERE)
    told = [Notice(f"failed_{outcome}", {"count": counts[outcome]}) for outcome in outcomes if counts[outcome]]
    return told or [_nothing(which)]


async def drop(failed: DeadLetters, which: str) -> Notice:
    """Removes one letter by its id, or ``all``."""
    count = sum([await failed.drop(id) for id in await _meant(failed, which)])
    return Notice("failed_dropped", {"count": count}) if count else _nothing(which)


async def _meant(failed: DeadLetters, which: str) -> list[str]:
    return await failed.ids() if which == ALL else [which]


def _nothing(which: str) -> Notice:
    return Notice("failed_none") if which == ALL else Notice("failed_unknown", {"found": which[:40]})


def is_repeatable(call: CommandCall, rows: Sequence[Command]) -> bool:
    """Whether a failed call may be run again: not if only its asker was to see the answer, nor where the platform takes
    answers for a while only."""
    return not (call.alone or call.most_pages) and any(row.name == call.name and not row.private for row in rows)


async def _listed(room: Room) -> Part:
    total, letters = await room.failed.newest(LISTED)
    if not total:
        return Notice("failed_none")
    lines = [say("failed_head", room.language, count=total), "", *map(_line, letters)]
    if total > len(letters):
        lines += ["", say("failed_more", room.language, count=total - len(letters))]
    return TextDelta("\n".join(lines))


def _line(letter: Letter) -> str:
    told = (_quoted(part) for part in (letter.where, letter.what, letter.why) if part)
    return " · ".join((f"- **{letter.id}**", letter.when, *told))


def _quoted(text: str) -> str:
    """As code: nothing that people wrote is a mark or a mention here."""
    return "`" + text.replace("`", "'") + "`"
