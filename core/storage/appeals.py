"""Appeals against acts: who may make one and with which code, what they said, and what was decided.

Everything is found by the code, which only whom an act is about is told: so they can appeal from anywhere, also from
where the bot does not know them.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Literal

from core.storage.client import Store
from core.storage.records import Record, Records

KEEP_SECONDS = 90 * 86400
"""After its last change an appeal is forgotten; what was done stays in the book of cases."""
MOST_TICKETS = 50
"""Of one account; the oldest go first."""
MOST_OPEN = 500
"""Of one space that are listed."""
ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Without what looks alike in some fonts: I and L, O, U."""
LENGTH = 12
"""Characters of a code: 58 bits."""


class Ticket(Record):
    """That somebody may appeal against a case."""

    code: str
    place: str
    """As in ``core.people.spaces.space_id``, when the case was made: the space may have moved."""
    number: int


class Appellant(Record):
    """What one account on a platform may appeal against."""

    tickets: tuple[Ticket, ...] = ()
    """The newest last."""


class Appeal(Record):
    """One for each case, by its code."""

    place: str = ""
    number: int = 0
    account: str = ""
    """Whom the case is about."""
    words: str = ""
    """What they say; empty: nothing yet."""
    language: str = ""
    """In which they are told what was decided."""
    state: Literal["", "open", "accepted", "kept"] = ""
    """Empty: they did not appeal yet."""
    at: float = 0.0
    """Unix seconds at which they did, the last time."""
    decided_at: float = 0.0
    call: str = ""
    """Id of the call that brought it into its state: the same call may come again."""


class OpenAppeals(Record):
    """Those of a space."""

    codes: tuple[str, ...] = ()
    """The newest last."""


class AppealBook:
    """All there are. Every method raises StorageError; those that change something Conflict, too."""

    def __init__(self, store: Store) -> None:
        self.appeals = Records(store, "appeals", Appeal(), keep_seconds=KEEP_SECONDS)
        self._appellants = Records(store, "appellants", Appellant(), keep_seconds=KEEP_SECONDS)
        self._open = Records(store, "appealed", OpenAppeals(), keep_seconds=KEEP_SECONDS)

    async def ticket(self, place: str, number: int, account: str) -> str:
        """The code of a case, the same every time."""

        def add(now: Appellant) -> Appellant:
            if any((ticket.place, ticket.number) == (place, number) for ticket in now.tickets):
                return now
            code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
            ticket = Ticket(code=code, place=place, number=number)
            return Appellant(tickets=(*now.tickets, ticket)[-MOST_TICKETS:])

        kept = (await self._appellants.change(_id(place, account), add)).value
        code = next(each.code for each in kept.tickets if (each.place, each.number) == (place, number))
        fresh = Appeal(place=place, number=number, account=account)
        await self.appeals.change(code, lambda now: now if now.number else fresh)
        return code

    async def tickets(self, bot: str, account: str) -> Sequence[Ticket]:
        """What an account may have to do with, the newest last. ``bot``: the bot they know, with its platform."""
        return (await self._appellants.fresh(_id(f"{bot}:", account))).value.tickets

    async def find(self, code: str) -> Appeal | None:
        """None for no code of anybody's."""
        found = await self.appeals.fresh(code) if is_code(code) else None
        return found.value if found is not None and found.version else None

    async def change(self, code: str, change: Callable[[Appeal], Appeal]) -> Appeal:
        """The appeal as it is then; ``change`` may be called several times."""

        def known(now: Appeal) -> Appeal:
            # Its person may have had their data erased meanwhile.
            return change(now) if now.number else now

        return (await self.appeals.change(code, known)).value

    async def open(self, place: str) -> Sequence[tuple[str, Appeal]]:
        """Those of a space that wait for a decision, the oldest first, with their codes."""
        codes = (await self._open.fresh(place)).value.codes
        found = [(code, await self.find(code)) for code in codes]
        return [(code, appeal) for code, appeal in found if appeal is not None and appeal.state == "open"]

    async def list_open(self, place: str, code: str) -> None:
        """It waits for a decision."""
        await self._open.change(
            place, lambda now: now if code in now.codes else OpenAppeals(codes=(*now.codes, code)[-MOST_OPEN:])
        )

    async def unlist(self, place: str, code: str) -> None:
        """It waits no longer."""
        await self._open.change(place, lambda now: OpenAppeals(codes=tuple(each for each in now.codes if each != code)))

    async def move(self, old: str, new: str) -> None:
        """A space goes on under another name: what waits for a decision there goes along."""
        await self._open.move(old, new)

    async def forget(self, code: str) -> None:
        """Removes an appeal, and what its account may appeal against."""
        found = await self.find(code)
        if found is not None:
            await self._appellants.change(_id(found.place, found.account), lambda _: None)
        await self.appeals.change(code, lambda _: None)


def is_code(text: str) -> bool:
    """Whether it may be one."""
    return len(text) == LENGTH and set(text) <= set(ALPHABET)


def normal_code(text: str) -> str:
    """A code as it is kept, of one as it was typed."""
    return text.strip("`").upper().replace("-", "")


def waits(appeal: Appeal, cooldown: float) -> float:
    """Unix seconds before which they cannot appeal again after a decision; 0.0: they can now."""
    again = appeal.decided_at + cooldown
    return again if appeal.decided_at and again > time.time() else 0.0


def _id(place: str, account: str) -> str:
    """Of an account on one bot's platform; tells nothing of them."""
    bot = ":".join(place.split(":")[:2])
    return hashlib.blake2b(f"{bot} {account}".encode(), digest_size=16).hexdigest()
