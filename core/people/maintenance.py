"""Maintenance: who asks meanwhile is told so, once an hour in a conversation; the owners are answered as ever.

Nothing is kept to be answered later: an answer that comes hours after the question helps nobody, and a flood of them
would be the first thing after the pause.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from core.access import is_owner
from core.conversation.turn import Turn
from core.parts import Notice
from core.people.gate import Denial, Reason
from core.people.house import MAX_TEXT, Houses, Pause
from core.storage.shared import Once
from core.texts import Moment, one_line

HOUR = 3600
"""Seconds: so often a conversation is told."""


class Maintenance:
    """The check of the gate."""

    def __init__(self, houses: Houses, once: Once, owners: Collection[str]) -> None:
        self._houses = houses
        self._once = once
        self._owners = owners

    async def check(self, turn: Turn) -> Denial | None:
        """A ``core.people.gate.Check``. It costs a round trip only while there is maintenance."""
        pause = await self._houses.pause()
        if pause is None or is_owner(turn.incoming.author, turn.conversation.platform, self._owners):
            return None
        first = await self._once.may(f"maintenance:{pause.since:.0f}:{turn.conversation}", HOUR)
        return Denial(notice_of(pause), Reason.MAINTENANCE, silent=not first)


def notice_of(pause: Pause) -> Notice:
    """What people are told."""
    text = one_line(pause.text, MAX_TEXT)
    if pause.until:
        until = Moment(datetime.fromtimestamp(pause.until, UTC))
        return Notice("maintenance_until_text" if text else "maintenance_until", {"until": until, "text": text})
    return Notice("maintenance_text" if text else "maintenance", {"text": text})
