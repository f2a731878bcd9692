"""What a message or a command has to pass before anything is spent on it: checks, asked in their order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.conversation.turn import Turn
from core.message import CommandCall
from core.parts import Notice
from core.storage.shared import Once

DAY = 86_400
"""Seconds: so often who is shut out is told so."""


class Reason(StrEnum):
    """Why something was not answered as it was wished, for /why."""

    BLOCKED = "blocked"
    RIGHT = "right"
    LIMIT = "limit"
    """Asked too often."""
    BUDGET = "budget"
    MAINTENANCE = "maintenance"
    SILENCE = "silence"
    """The channel is closed, or it is a quiet hour."""
    RULE = "rule"
    """It cannot be read: too long, of a kind that is not known."""
    SAFETY = "safety"
    """It is not allowed, or what was made of it is not."""
    OVERLOAD = "overload"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a turn is not answered, and the sentence that is."""

    notice: Notice
    reason: Reason
    silent: bool = False
    """It was said already: nothing is shown, unless somebody waits for just this answer."""


Check = Callable[[Turn], Awaitable[Denial | None]]
"""None: it may pass. Raises StorageError."""


@dataclass(frozen=True, slots=True)
class Gate:
    """All checks together."""

    checks: Sequence[Check]
    passes: Callable[[Turn], bool]
    """Whether a turn is not asked at all."""

    async def ask(self, turn: Turn) -> Denial | None:
        """The first denial. Raises StorageError."""
        if self.passes(turn):
            return None
        for check in self.checks:
            if denial := await check(turn):
                return denial
        return None


def is_shown(denial: Denial, turn: Turn) -> bool:
    """Whether its sentence is said. A platform that shows that an answer is coming wants one."""
    call = turn.incoming
    return not denial.silent or (isinstance(call, CommandCall) and bool(call.reply_token))


class Blocked:
    """The check of those whom the owner shut out everywhere. They are told once a day."""

    def __init__(self, once: Once, is_owner: Callable[[Turn], bool]) -> None:
        self._once = once
        self._is_owner = is_owner

    async def check(self, turn: Turn) -> Denial | None:
        """A :data:`Check`."""
        if not turn.person.blocked or self._is_owner(turn):
            return None
        first = await self._once.may(f"blocked:{turn.person.id}", DAY)
        return Denial(Notice("blocked_everywhere"), Reason.BLOCKED, silent=not first)
