"""How often people may ask: each person, and all of a space together, in moving windows over all processes.

Limits are written as the library ``limits`` reads them: ``20/minute``, ``5 per 10 seconds; 100/day``. Its strategies
count one window at a time, so that what the second refuses has used up the first, by the clock of each host; here one
script counts in all windows or in none, by Redis' clock.

What is counted is what asks a model. Whoever is over a limit is told once when they may ask again; until then what they
ask stays unanswered, so that a flood is not answered with one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

import structlog

from core.conversation.turn import Turn
from core.errors import StorageError
from core.parts import Notice
from core.people.gate import Denial, Reason
from core.people.spaces import space_id
from core.settings import ChatSettings
from core.storage import keys
from core.storage.client import Store
from core.storage.shared import Once
from core.storage.windows import Window, windows_of

log = structlog.get_logger()

PATIENCE_SECONDS = 1.0


class Whose(StrEnum):
    """Who asks too often."""

    PERSON = "person"
    SPACE = "space"


@dataclass(frozen=True, slots=True)
class TooMany:
    """A question that is one too many."""

    whose: Whose
    seconds: int
    """Until the next may be asked."""

    @property
    def notice(self) -> Notice:
        """What the asker is told, in round figures where it is long."""
        is_person = self.whose is Whose.PERSON
        if self.seconds <= 90:
            return Notice("limited_person" if is_person else "limited_space", {"count": self.seconds})
        if self.seconds <= 5400:
            minutes = {"count": ceil(self.seconds / 60)}
            return Notice("limited_person_minutes" if is_person else "limited_space_minutes", minutes)
        hours = {"count": ceil(self.seconds / 3600)}
        return Notice("limited_person_hours" if is_person else "limited_space_hours", hours)


@dataclass(frozen=True, slots=True)
class _Counted:
    whose: Whose
    key: str
    window: Window


class Limits:
    """Counts questions. One per process."""

    def __init__(self, store: Store, settings: ChatSettings) -> None:
        self._store = store
        self._settings = settings
        self._once = Once(store)

    async def count(self, turn: Turn) -> TooMany | None:
        """Counts a question, once however often its turn is begun; None where it may be answered.

        Where no limit is set it asks nothing. While Redis does not answer, nothing is refused: a limit keeps things
        fair, what must not be overspent are the budgets.
        """
        return await self._ask(turn, hashlib.sha256(turn.id.encode()).hexdigest()[:16])

    async def look(self, turn: Turn) -> TooMany | None:
        """The same without counting: whether a question would be one too many now."""
        return await self._ask(turn, "")

    async def check(self, turn: Turn) -> Denial | None:
        """A check of the gate (``core/people/gate.py``)."""
        over = await self.count(turn)
        if over is None:
            return None
        return Denial(over.notice, Reason.LIMIT, silent=not await self.is_first_word(turn, over))

    async def is_first_word(self, turn: Turn, over: TooMany) -> bool:
        """Whether the asker has not been told yet. A second call for the same wait says no."""
        who = _person(turn) if over.whose is Whose.PERSON else space_id(turn.conversation, turn.incoming.space)
        what = f"limited:{over.whose}:{who}"
        try:
            return await self._once.may(what, max(1, over.seconds))
        except StorageError:
            return False

    async def _ask(self, turn: Turn, token: str) -> TooMany | None:
        counted = self._counted(turn)
        if not counted:
            return None
        arguments: list[str | int] = [token]
        for one in counted:
            arguments += [one.window.most, one.window.seconds * 1000]
        try:
            wait, which = await self._store.run(
                "limits", [one.key for one in counted], arguments, patience=PATIENCE_SECONDS
            )
        except StorageError as error:
            log.warning("limits could not be counted, so none holds", cause=str(error))
            return None
        return TooMany(counted[int(which) - 1].whose, ceil(int(wait) / 1000)) if wait else None

    def _counted(self, turn: Turn) -> Sequence[_Counted]:
        """The windows that hold for a turn. A space may set narrower ones of its own, which hold besides."""
        person, space = _person(turn), space_id(turn.conversation, turn.incoming.space)
        limits = [(Whose.PERSON, person, self._settings.person_limit)]
        if space:
            limits += [
                (Whose.PERSON, f"{person}@{space}", turn.space.person_limit),
                (Whose.SPACE, space, self._settings.space_limit),
                (Whose.SPACE, f"{space}@", turn.space.space_limit),
            ]
        return [
            _Counted(whose, keys.limit(whose, who, str(window)), window)
            for whose, who, text in limits
            if text
            for window in _readable(text)
        ]


def _person(turn: Turn) -> str:
    return turn.person.id or f"{turn.conversation.platform}:{turn.incoming.author.id}"


def _readable(text: str) -> Sequence[Window]:
    try:
        return windows_of(text)
    except ValueError as error:
        log.warning("a limit that cannot be read holds nobody", limit=text, cause=str(error))
        return ()
