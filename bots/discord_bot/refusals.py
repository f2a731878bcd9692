"""Calls that Discord refused: how many there were, and where no further one is made for now.

Discord shuts an address out that gets 10,000 answers of 401, 403 or 429 within 10 minutes. They are counted here over
all processes of the bot; the more there are, the fewer calls are made, so that it never comes to that. Where nothing is
refused, nothing is counted and nobody is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import structlog

from core.errors import StorageError
from core.tasks import end

MOST = 10_000
"""Discord's documented limit of invalid requests."""
SECONDS = 600
"""The time in which it counts them."""
FRUGAL, ANSWERS_ONLY, NOTHING = 0.5, 0.8, 0.95
"""Parts of the limit: from the first on optional calls are left out (typing, intermediate edits), from the second on
all but answers and the gateway's, from the last on every call that is no answer to an interaction."""
SHARE_SECONDS = 2.0
"""Between two looks at what the other processes count, while something is refused."""
RETRY_SECONDS = 15.0
"""After which a call that was not made may be tried again: by then the oldest refusals count no more."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 600.0
"""Seconds for which a refused kind of call is not tried again in a channel; each further time twice as long. Short at
first, since somebody may be setting the channel's permissions right at the moment."""
MAX_CHANNELS = 2000
MISSING_ACCESS, MISSING_PERMISSIONS, NO_DIRECT_MESSAGES, NO_REPLY_RIGHT = 50001, 50013, 50007, 160002
OF_CHANNELS = frozenset((MISSING_ACCESS, MISSING_PERMISSIONS, NO_DIRECT_MESSAGES, NO_REPLY_RIGHT))
"""Discord's codes that hold for every such call in the channel, not for this one only."""

log = structlog.get_logger()


class Need(IntEnum):
    """How much depends on a call."""

    LITTLE = 0
    """What can wait some minutes, or be left out: reads, typing, registrations."""
    MUCH = 1
    """An answer and its thread, an act of moderators, or the beginning of a connection."""
    ALL = 2
    """The answer to an interaction, for which Discord waits three seconds."""


class Count(Protocol):
    """A count that all processes share."""

    async def add(self, more: int) -> int:
        """Counts so many more; the sum over all processes in the last :data:`SECONDS`. Raises StorageError."""
        ...


class Refusals:
    """How many calls were refused, and which may still be made. Close it at the end."""

    def __init__(self, count: Count, most: int = MOST) -> None:
        self._count = count
        self._most = most
        self._total = 0
        self._unshared = 0
        self._told = 0.0
        self._sharing: asyncio.Task[None] | None = None

    @property
    def part(self) -> float:
        """Refused calls, as a part of what Discord allows."""
        return (self._total + self._unshared) / self._most

    @property
    def is_frugal(self) -> bool:
        """Whether optional calls are to be left out."""
        return self.part >= FRUGAL

    def allows(self, need: Need) -> bool:
        """Whether a call may be made."""
        return need is Need.ALL or self.part < (NOTHING if need is Need.MUCH else ANSWERS_ONLY)

    def note(self) -> None:
        """A call was refused in a way that Discord counts."""
        self._unshared += 1
        self._tell()
        if self._sharing is None or self._sharing.done():
            self._sharing = asyncio.create_task(self._share(), name="refused calls")

    async def close(self) -> None:
        if self._sharing is not None:
            await end([self._sharing])

    async def _share(self) -> None:
        """As long as something is refused, or the count is high."""
        while True:
            more, self._unshared = self._unshared, 0
            self._total += more
            try:
                self._total = await self._count.add(more)
            except StorageError as error:
                # It is counted on here; nothing grows old until the storage is back.
                log.warning("refused calls are counted in this process only", cause=str(error))
                self._total, self._unshared = self._total - more, self._unshared + more
            self._tell()
            await asyncio.sleep(SHARE_SECONDS)
            if not self._unshared and not self.is_frugal:
                return

    def _tell(self) -> None:
        """A line for each threshold that is passed, and one when the danger is over."""
        passed = max((level for level in (FRUGAL, ANSWERS_ONLY, NOTHING) if self.part >= level), default=0.0)
        if passed > self._told:
            log.error(
                "Discord refuses so many calls that it would shut this address out: fewer are made",
                refused=self._total + self._unshared,
                limit=self._most,
                minutes=SECONDS // 60,
            )
        elif passed < self._told and not passed:
            log.info("Discord refuses few calls again", refused=self._total + self._unshared)
        self._told = passed


@dataclass(slots=True)
class _Door:
    """A kind of call in a channel, as Discord refused it last."""

    code: int
    detail: str
    until: float
    pause: float


class Doors:
    """Kinds of calls that Discord forbade in a channel, each closed for a while. What another process learns is not
    known here: each makes a few calls in vain."""

    def __init__(self) -> None:
        self._closed: OrderedDict[tuple[Any, ...], _Door] = OrderedDict()

    def closed(self, kind: tuple[Any, ...]) -> tuple[int, str] | None:
        """Discord's code and words, if such a call would be refused as it was before; else None."""
        door = self._closed.get(kind)
        return (door.code, door.detail) if door is not None and time.monotonic() < door.until else None

    def close(self, kind: tuple[Any, ...], code: int, detail: str) -> None:
        """Such a call was forbidden."""
        if code not in OF_CHANNELS or not kind:
            return
        before = self._closed.pop(kind, None)
        pause = min(LONGEST_PAUSE, before.pause * 2) if before else FIRST_PAUSE
        self._closed[kind] = _Door(code, detail, time.monotonic() + pause, pause)
        if len(self._closed) > MAX_CHANNELS:
            self._closed.popitem(last=False)

    def open(self, kind: tuple[Any, ...]) -> None:
        """Such a call was allowed."""
        if self._closed:
            self._closed.pop(kind, None)


def kind_of(method: str, parts: Sequence[str], body: object, *, has_files: bool) -> tuple[Any, ...]:
    """What of a call in a channel its permission depends on; empty for a call that is about no channel.

    A reply, a file and a voice message need rights of their own, so one may be forbidden where the plain text may go.
    """
    if parts[0] != "channels" or len(parts) < 2:
        return ()
    fields: Mapping[str, Any] = body if isinstance(body, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]
    return method, *parts[1:3], len(parts), "message_reference" in fields, fields.get("flags", 0), has_files


def need_of(method: str, parts: Sequence[str]) -> Need:
    """How much depends on a call."""
    match parts:
        case ["interactions" | "webhooks", *_]:
            return Need.ALL
        case ["channels", _, "messages", *_] if method != "GET":
            return Need.MUCH
        case ["channels", _, "webhooks"]:
            return Need.MUCH
        case ["guilds", _, "bans" | "members", _] | ["channels", _, "permissions", _] | ["channels", _] if (
            method != "GET"
        ):
            return Need.MUCH
        case ["gateway", *_] | ["users", "@me"]:
            return Need.MUCH
        case _:
            return Need.LITTLE
