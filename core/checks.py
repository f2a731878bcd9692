"""What the engine asks of every turn before anything is spent on it: the checks of the gate, in their order."""

from __future__ import annotations

import time
from collections.abc import Collection

from core.access import is_owner
from core.commands.secret import has_secret
from core.commands.table import BY_NAME
from core.conversation.turn import Turn
from core.errors import RightsUnknownError
from core.message import CommandCall, Message
from core.people.access import Access
from core.people.community import Community
from core.people.gate import Blocked, Denial, Gate, Reason
from core.people.hearing import Hush, silence_for, told_of
from core.storage.shared import Once


class Checks:
    """Who is shut out, who may not talk, where it is quiet, maintenance, who asked too often."""

    def __init__(
        self, access: Access, community: Community, owners: Collection[str], time_zone: str, once: Once
    ) -> None:
        """``time_zone`` is that of spaces that chose none."""
        self._access = access
        self._limits = community.limits
        self._owners = owners
        self._time_zone = time_zone
        first = (Blocked(once, self._is_of_owner).check, access.check_talk, self._hushed)
        self.gate = Gate((*first, *community.checks, self._limited), self._passes)

    def _is_of_owner(self, turn: Turn) -> bool:
        return is_owner(turn.incoming.author, turn.conversation.platform, self._owners)

    def _passes(self, turn: Turn) -> bool:
        """Whether the gate is open to it: to what people must always be able to do, and to the owners' commands."""
        call = turn.incoming
        row = BY_NAME.get(call.name) if isinstance(call, CommandCall) else None
        return row is not None and (row.always or (row.for_owner and self._is_of_owner(turn)))

    async def _hushed(self, turn: Turn) -> Denial | None:
        """The check of commands that ask for an answer where messages get none. Administrators get theirs in quiet
        hours, and what is for the asker's eyes disturbs nobody."""
        call = turn.incoming
        row = BY_NAME.get(call.name) if isinstance(call, CommandCall) else None
        if row is None or not isinstance(call, CommandCall) or call.alone or not (row.run is None or row.needs):
            return None
        hush = silence_for(call, turn.space, time.time(), self._time_zone)
        if hush is None or (hush.why is Hush.QUIET and await self._is_admin(call)):
            return None
        zone = turn.space.time_zone or self._time_zone
        return Denial(told_of(hush, zone), Reason.SILENCE, silent=True)

    async def _is_admin(self, call: CommandCall) -> bool:
        try:
            return call.by_admin or await self._access.may_choose(call)
        except RightsUnknownError:
            return False

    async def _limited(self, turn: Turn) -> Denial | None:
        """The check of how often people may ask. What asks no provider (a key is tried at one) is not counted, nor are
        those who run Parley."""
        call = turn.incoming
        row = BY_NAME.get(call.name) if isinstance(call, CommandCall) else None
        asks = row is not None and (row.run is None or row.needs is not None or has_secret(row))
        if self._is_of_owner(turn) or not (asks or isinstance(call, Message)):
            return None
        return await self._limits.check(turn)
