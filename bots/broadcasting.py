"""Sends announcements: one process at a time, a few a second, only while the platforms have room beside answers.

Before each message its slot is noted, as for answers. Who goes on after a process that died looks for the message of
that slot (Discord by its enforced nonce, Telegram by the ids that came after the noted one), so that no space is told
twice. Where no id was known, the result says that it is not known whether it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from bots.adapter import Slot, Target
from bots.pacing import Kind
from bots.platforms import Connection
from core import faults
from core.errors import OutboundError, OutboundFault, ParleyError, StorageError
from core.message import ConversationKey, Platform
from core.people.broadcasts import Broadcast, Broadcasts, Fate, Result, Told, lines_of
from core.people.spaces import Spaces
from core.storage.leases import Held, Leases
from core.storage.spaces_seen import SeenSpace, SpacesSeen

log = structlog.get_logger()

LOOK_SECONDS = 1.0
PAUSE_SECONDS = 0.4
"""Between two messages, over all platforms."""
PATIENCE_SECONDS = 20.0
"""So long it waits for room beside answers; then it stands in line like them."""
TRIES = 3
MOST_WAIT = 60.0
"""Seconds that a limit of a platform's is waited for in one place."""
LEASE = "broadcast"
PASSING = (OutboundFault.TRANSIENT, OutboundFault.RATE_LIMITED)


@dataclass(frozen=True, slots=True)
class Broadcasting:
    """The sender of one process. ``pause`` is the time between two messages in seconds."""

    broadcasts: Broadcasts
    spaces: Spaces
    seen: SpacesSeen
    leases: Leases
    connections: Mapping[Platform, Connection]
    pause: float = PAUSE_SECONDS

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except (ParleyError, StorageError) as error:
                log.warning("an announcement could not go on", cause=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Goes on with the one under way, if there is one and no other process is at it. Raises StorageError."""
        if not await self.broadcasts.is_any() or (held := await self.leases.take(LEASE)) is None:
            return
        try:
            found = await self.broadcasts.current()
            if found is not None:
                await self._send_all(*found, held)
        finally:
            await held.release()

    async def _send_all(self, id: str, broadcast: Broadcast, held: Held) -> None:
        told = await self.broadcasts.told(id)
        for space in await self.seen.all():
            if not held.is_ours:
                return
            if (await self.broadcasts.records.get(id)).value.state != "running":
                break
            before = told.get(space.space_id)
            if before is not None and before.fate is not Fate.BEGUN:
                continue
            connection = self.connections.get(space.platform)
            if connection is None:
                after = Told(Fate.FAILED, "no_connection")
            else:
                after = await self._send_to(id, broadcast, space, connection, before)
            await self.broadcasts.tell(id, space.space_id, after)
        await self.broadcasts.finish(id)
        result = await self.broadcasts.result(id)
        log.info("announced", sent=result.sent, opted_out=result.opted_out, failed=sum(result.failed.values()))
        await self._report(id, result)

    async def _send_to(
        self, id: str, broadcast: Broadcast, space: SeenSpace, connection: Connection, before: Told | None
    ) -> Told:
        chosen = await self.spaces.of(space.space_id)
        if chosen.broadcasts is False:
            return Told(Fate.OPTED_OUT)
        chat = chosen.announcements or space.channel or (space.id if space.platform is Platform.TELEGRAM else "")
        if not chat:
            return Told(Fate.FAILED, "no_channel")
        if await connection.bot() != space.bot:
            return Told(Fate.FAILED, "another_bot")
        conversation = ConversationKey(space.platform, space.bot, chat)
        target = Target(conversation, False, "")
        if before is None:
            newest = await self.broadcasts.newest_message(conversation)
            mark = connection.outbound.mark(Target(conversation, False, "", asked=newest))
        elif not (mark := before.detail):
            # Nobody knows where to look for it, and twice is worse than perhaps not at all.
            return Told(Fate.FAILED, "unsure")
        slot = Slot(f"broadcast/{id}/{space.space_id}", 0, mark)
        page = connection.outbound.format(broadcast.text)
        for attempt in range(TRIES):
            try:
                if before is not None and (known := await connection.outbound.find(target, page, slot, ())):
                    return Told(Fate.SENT, known)
                await self._wait_for_room(connection, chat, space)
                if before is None:
                    before = Told(Fate.BEGUN, mark)
                    await self.broadcasts.tell(id, space.space_id, before)
                faults.reached("announcing")
                sent = await connection.outbound.send(target, page, slot)
                faults.reached("announced")
                return Told(Fate.SENT, sent)
            except OutboundError as error:
                if error.fault is OutboundFault.RATE_LIMITED:
                    connection.pacer.refused(chat, error.retry_after, error.everywhere)
                if error.fault not in PASSING or attempt == TRIES - 1:
                    log.info("not announced", space=space.space_id, cause=error.detail)
                    return Told(Fate.FAILED, error.fault)
                await asyncio.sleep(min(MOST_WAIT, max(0.5, error.retry_after)))
        return Told(Fate.FAILED, OutboundFault.TRANSIENT)

    async def _wait_for_room(self, connection: Connection, chat: str, space: SeenSpace) -> None:
        await asyncio.sleep(self.pause)
        waited = 0.0
        while not connection.pacer.may(chat, True, Kind.CREATE):
            if waited >= PATIENCE_SECONDS:
                await connection.pacer.draw(chat, True, Kind.CREATE, space.id)
                return
            waited += self.pause
            await asyncio.sleep(max(self.pause, 0.05))

    async def _report(self, id: str, result: Result) -> None:
        """To who asked for it, in private, as well as it goes: /admin broadcast tells it at any time."""
        if not result.broadcast.tell:
            return
        conversation = ConversationKey.parse(result.broadcast.tell)
        connection = self.connections.get(conversation.platform)
        if connection is None:
            return
        words = "\n".join(lines_of(result))
        try:
            page = connection.outbound.format(words)
            await connection.pacer.draw(conversation.chat, False, Kind.CREATE)
            target = Target(conversation, True, "", asked=f"broadcast-{id}")
            await connection.outbound.send(target, page, Slot(f"broadcast/{id}", 0))
        except OutboundError as error:
            log.info("the result of an announcement was not told", cause=error.detail)
