"""The ladder of a space: what follows when somebody's strikes come to a number, as it is written. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from core.moderation.acts import LASTING, ActKind
from core.moderation.durations import DAY, HOUR, MINUTE, Duration
from core.texts import languages, say

MOST_STEPS = 10
MOST_STRIKES = 100
KINDS = (ActKind.MUTE, ActKind.RESTRICT, ActKind.QUARANTINE, ActKind.KICK, ActKind.BAN)
_STEP = re.compile(r"([0-9]{1,3})\s*[:：]\s*(.+)")
_UNITS = (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", 1))


@dataclass(frozen=True, slots=True)
class Step:
    """One of a ladder."""

    strikes: int
    """At so many it is done."""
    kind: ActKind
    seconds: int | None = None
    """How long it lasts; None: until somebody ends it, or it is over at once."""

    def __str__(self) -> str:
        return f"{self.strikes}: {self.kind}{_length(self.seconds)}"


def parse(text: str) -> tuple[Step, ...]:
    """From ``3: mute 1h, 5: ban 7d, 7: ban``, with the acts' names in any language. Raises ValueError for anything
    else: no steps or too many, numbers that do not rise, an act that is none of :data:`KINDS`, a length of time for
    what has none."""
    parts = [part.strip() for part in re.split("[,，、;；]", text)]
    steps = tuple(_step(part.casefold()) for part in parts if part)
    if not 0 < len(steps) <= MOST_STEPS:
        raise ValueError("so many steps are no ladder")
    if any(one.strikes >= other.strikes for one, other in pairwise(steps)):
        raise ValueError("each step is higher than the one before")
    return steps


def written(steps: Sequence[Step]) -> str:
    """The inverse, in the names that files have."""
    return ", ".join(map(str, steps))


def _step(text: str) -> Step:
    found = _STEP.fullmatch(text)
    if found is None or not 0 < int(found[1]) <= MOST_STRIKES:
        raise ValueError("no step")
    name = next((name for name in _names() if found[2].startswith(name)), None)
    if name is None:
        raise ValueError("no act")
    kind, length = _names()[name], found[2].removeprefix(name).strip()
    seconds = Duration.parse(length).seconds if length else None
    if seconds is not None and kind not in LASTING:
        raise ValueError("that has no end")
    return Step(int(found[1]), kind, seconds)


@cache
def _names() -> Mapping[str, ActKind]:
    """The acts by what people call them, the longest name first."""
    found = {str(kind): kind for kind in KINDS}
    found |= {say(f"name.{kind}", code).casefold(): kind for kind in KINDS for code in languages()}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _length(seconds: int | None) -> str:
    if seconds is None:
        return ""
    parts = list[str]()
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        parts += [f"{count}{unit}"] if count else []
    return " " + " ".join(parts)
