"""The shards that this process runs: its share of the bot's, held by leases over all processes.

Every process says once in a while that it lives and what it holds, and learns the same of the others. Who has less
than its share takes what is free; who has more gives back. A process may have shards of its own (``--shards 0-3/16``):
it runs those and no others, and the others leave them to it while it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Collection, Sequence, Set

import structlog

from bots.adapter import Inbox
from bots.discord_bot.shard import Equipment, OutgrownError, Shard
from bots.discord_bot.starts import allowance
from core.errors import StorageError
from core.shard_range import ShardRange
from core.storage.fleet import Fleet, Roll
from core.storage.leases import Leases
from core.tasks import to_the_end

LEAVE_SECONDS = 10.0
"""For storing what was received and giving the leases back."""
ALIVE_SECONDS = 5.0
"""Between two notes of until when the shards have heard everything."""
BEAT = 0.5
"""Seconds between two looks at the fleet."""

log = structlog.get_logger()


def lease_name(bot: str, shard: int, count: int) -> str:
    return f"discord:{bot}:shard:{shard}/{count}"


def share(shards: int, processes: int, most: int) -> int:
    """How many of the shards a process holds at most; ``most`` 0 for a fair share."""
    return most or math.ceil(shards / max(1, processes))


def to_give_back(shards: Collection[Shard], fair: int) -> list[Shard]:
    """The excess over the share: what is not connected yet costs nobody anything, then the highest."""
    return sorted(shards, key=lambda shard: (shard.is_connected, -shard.id))[: max(0, len(shards) - fair)]


def _reserved(roll: Roll) -> set[int]:
    """The shards that living processes have for themselves."""
    return {part for member in roll.members if member.wanted == roll.number for part in member.own}


class Shards:
    """All shards of this process. :meth:`run` it once.

    ``settled`` is set when all that are held are connected, or others hold them all.
    """

    def __init__(self, fleet: Fleet, leases: Leases, equipment: Equipment, settled: asyncio.Event) -> None:
        self._settled = settled
        self._fleet = fleet
        self._leases = leases
        self._with = equipment
        settings = equipment.settings
        self._wanted = settings.fixed_shards
        self._own = ShardRange.parse(settings.shard_range).parts if settings.shard_range else range(0)
        self._waits_for: set[int] = set()
        """Shards of our own that other processes have."""
        self._running: dict[Shard, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._number = 0
        self._proposed = 0
        self._change = 0
        self._processes = 0
        self._given = 0
        self._gives_again_at = 0.0
        self._notes_again_at = 0.0
        self._noted: Set[str] = frozenset()
        """Names of the shards that were noted last."""

    async def run(self, inbox: Inbox) -> None:
        """Holds its share until cancelled. Raises SettingsError for a wrong token and the like."""
        self._proposed = self._wanted or (await allowance(self._with.rest)).shards
        try:
            while True:
                await self._reap()
                await self._step(inbox)
                await self._note_alive()
                await self._pause()
        finally:
            await to_the_end(self._leave(), LEAVE_SECONDS)

    async def _pause(self) -> None:
        """Until the next beat, or until a shard has connected or ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT):
                await self._news.wait()
        self._news.clear()

    async def _reap(self) -> None:
        """Takes leave of the shards that have ended. Raises what ended them."""
        for shard, task in list(self._running.items()):
            if not task.done():
                continue
            del self._running[shard]
            try:
                task.result()
            except OutgrownError:
                await self._outgrow(shard.count)

    async def _outgrow(self, count: int) -> None:
        """Discord says that so many are too few: all processes go on with the number that it recommends now."""
        if count == self._number:
            recommended = (await allowance(self._with.rest)).shards
            self._proposed = self._change = max(recommended, count + 1)

    async def _step(self, inbox: Inbox) -> None:
        try:
            roll = await self._join()
            if roll.number != self._number:
                self._follow(roll.number)
            # Shards of our own are those of our number.
            is_ours = not self._own or roll.number == self._wanted
            if is_ours and roll.number == self._number and roll.is_settled and not self._change:
                await self._balance(roll, inbox)
        except StorageError as error:
            log.warning("the other processes are not reached", cause=str(error))

    async def _note_alive(self) -> None:
        """Until when each shard has heard everything, for whoever runs it next: at once when it begins to, then every
        so often."""
        now = time.monotonic()
        heard = {shard.name: shard.heard for shard in self._running if shard.is_ours and shard.heard}
        if not heard or (now < self._notes_again_at and heard.keys() <= self._noted):
            return
        self._notes_again_at, self._noted = now + ALIVE_SECONDS, heard.keys()
        with contextlib.suppress(StorageError):
            await self._with.alive.note(heard)

    async def _join(self) -> Roll:
        parts = frozenset(shard.id for shard in self._running)
        running = self._number if self._running else 0
        roll = await self._fleet.join(self._proposed, self._wanted, running, parts, self._change, self._own)
        self._change = 0
        # A number that the owner has set everywhere, process by process, is followed by all.
        wanted = {member.wanted for member in roll.members}
        if len(wanted) == 1 and self._wanted not in (0, roll.number):
            self._change = self._wanted
        return roll

    def _follow(self, number: int) -> None:
        """Shards of another number end first, here and everywhere."""
        if self._running:
            if not all(shard.is_leaving for shard in self._running):
                log.warning("the number of shards changes", old=self._number, new=number)
            for shard in self._running:
                shard.leave()
            return
        self._number = number
        if number != self._wanted:
            log.info("the bot runs with this number of shards", shards=number)
        if self._wanted not in (0, number):
            setting = "--shards" if self._own else "discord.shards"
            log.warning(f"{setting} waits until every process has this number", found=self._wanted, running=number)

    async def _balance(self, roll: Roll, inbox: Inbox) -> None:
        staying = [shard for shard in self._running if not shard.is_leaving]
        ours, fair = self._ours(roll)
        others = [shard for shard in staying if shard.id not in ours]
        for shard in (*others, *to_give_back([shard for shard in staying if shard.id in ours], fair)):
            if shard.is_connected and not self._may_give():
                break
            log.info("a shard goes to another process", shard=shard.id)
            shard.leave()
        taken = {part for member in roll.members for part in member.parts} | {shard.id for shard in self._running}
        free = [part for part in ours if part not in taken]
        self._tell_who_has(roll)
        while free and len(staying) < fair:
            if shard := await self._take(free.pop(0), roll.number, inbox):
                staying.append(shard)
        self._note(roll, free, staying)

    def _ours(self, roll: Roll) -> tuple[Sequence[int], int]:
        """The shards that this process may run, and how many of them it is to run."""
        if self._own:
            return self._own, len(self._own)
        reserved = _reserved(roll)
        left = [part for part in range(roll.number) if part not in reserved]
        sharing = sum(not member.own for member in roll.members)
        return left, share(len(left), sharing, self._with.settings.shards_per_process)

    def _tell_who_has(self, roll: Roll) -> None:
        """Says of each shard of our own once that another process has it."""
        if not self._own:
            return
        here = {shard.id for shard in self._running}
        holders = {part: member.name for member in roll.members for part in member.parts if part not in here}
        found = {part for part in self._own if part in holders}
        for part in sorted(found - self._waits_for):
            log.warning("a shard of --shards is held by another process: waiting for it", shard=part, by=holders[part])
        self._waits_for = found

    def _may_give(self) -> bool:
        """No faster than others may connect it: what nobody receives for a while is only in the history."""
        now, starts = time.monotonic(), self._with.starts
        if now < self._gives_again_at:
            return False
        self._given += 1
        if self._given % starts.side_by_side == 0:
            self._gives_again_at = now + starts.pause
        return True

    async def _take(self, part: int, count: int, inbox: Inbox) -> Shard | None:
        held = await self._leases.take(lease_name(self._with.bot, part, count))
        if held is None:
            return None
        shard = Shard(part, count, held, self._with, self._news.set)
        task = self._running[shard] = asyncio.create_task(shard.run(inbox), name=f"shard {part}/{count}")
        task.add_done_callback(lambda _: self._news.set())
        return shard

    def _note(self, roll: Roll, free: list[int], staying: list[Shard]) -> None:
        if len(roll.members) != self._processes:
            self._processes = len(roll.members)
            log.info("processes share the shards", processes=self._processes, shards=roll.number, here=len(staying))
            self._tell_what_nobody_runs(roll, free)
        if all(shard.is_connected for shard in staying) and (staying or not free):
            self._settled.set()

    def _tell_what_nobody_runs(self, roll: Roll, free: list[int]) -> None:
        if all(member.own for member in roll.members):
            reserved = _reserved(roll)
            if nobodys := [part for part in range(roll.number) if part not in reserved]:
                log.warning("shards without a process: no --shards names them", shards=nobodys)
        elif not self._own and 0 < self._with.settings.shards_per_process * self._processes < roll.number:
            log.warning("shards without a process: raise discord.shards_per_process or start more", shards=free)

    async def _leave(self) -> None:
        for shard in self._running:
            shard.leave()
        if self._running:
            await asyncio.wait(self._running.values())
        for task in self._running.values():
            if error := task.exception():
                log.warning("a shard ended badly", error=repr(error))
        try:
            await self._fleet.leave()
        except StorageError as error:
            log.warning("the other processes are not told of the end", cause=str(error))
