"""What whom an act is about is told of it, in private. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from core.moderation.acts import AUTOMOD, ActKind
from core.moderation.cases import Case
from core.moderation.durations import DAY, HOUR, MINUTE
from core.texts import Amount, Moment, one_line, plain_line, say

TOLD_FIRST = frozenset((ActKind.KICK, ActKind.BAN))
"""Afterwards the bot cannot reach them."""
TOLD = frozenset((ActKind.WARN, ActKind.MUTE, ActKind.RESTRICT, ActKind.QUARANTINE)) | TOLD_FIRST
LONGEST_PLACE = 100
LONGEST_QUOTED = 1000


@dataclass(frozen=True, slots=True)
class Recourse:
    """How whom an act is about can ask the moderators once more (``core/moderation/appeals.py``)."""

    code: str
    """Known to them alone."""
    until: float
    """Unix seconds."""


def amount(seconds: int) -> Amount:
    """A length of time in its largest unit."""
    for unit, size in (("day", DAY), ("hour", HOUR), ("minute", MINUTE)):
        if seconds >= size:
            return Amount(seconds / size, unit)
    return Amount(seconds, "second")


def quoted(text: str) -> str:
    """As code: nothing that people wrote is a mark or a mention here, nor turns round what stands beside it. Empty for
    nothing."""
    line = plain_line(text, LONGEST_QUOTED).replace("`", "'")
    return f"`{line}`" if line else ""


def told(case: Case, language: str, recourse: Recourse | None = None) -> str:
    """What they are told. Who acted is not said."""
    lines = [_done(case, language)]
    if recourse is not None:
        until = Moment(datetime.fromtimestamp(round(recourse.until), UTC))
        lines.append(say("act_told_appeal", language, code=recourse.code, until=until))
    return "\n".join(lines)


def _done(case: Case, language: str) -> str:
    place, reason = one_line(case.where, LONGEST_PLACE) or say("act_somewhere", language), quoted(case.reason)
    by_rule = case.actor == AUTOMOD
    if case.kind == ActKind.WARN and reason and not by_rule:
        return say("warned_you", language, place=place, reason=reason)
    lines = [say(f"act_told.{case.kind}", language, place=place)]
    if case.until is not None:
        lines.append(say("act_told_until", language, until=Moment(datetime.fromtimestamp(round(case.until), UTC))))
    if reason:
        lines.append(say("act_told_reason", language, reason=reason))
    if by_rule:
        lines.append(say("act_told_rule", language))
    return "\n".join(lines)
