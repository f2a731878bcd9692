"""Long polling by one process of many: whoever holds the lease polls, the others stand by.

Telegram gives an update to one poller at a time, and hands it out again until a later call confirms it. So the next
offset goes out only when the inbox has the batch; a poller that stops tells it to Telegram before it gives the lease
back; and one that has lost the lease accepts nothing any more. What is handed out twice all the same is refused by
the mailbox.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from telegram.error import Conflict, TelegramError

from bots.telegram_bot import insisting
from bots.telegram_bot.api import Api
from bots.telegram_bot.insisting import insist
from bots.telegram_bot.raw import Raw
from bots.telegram_bot.translate import UPDATES
from bots.telegram_bot.transport import CALL_SECONDS
from core.errors import StorageError
from core.storage.leases import RETRY_SECONDS, Held, Leases
from core.tasks import end, to_the_end

log = structlog.get_logger()

POLL_SECONDS = 25
"""How long the server may hold a getUpdates without updates."""
SILENCE_SECONDS = POLL_SECONDS + 10.0
"""A getUpdates that says nothing for so long is dead: a proxy or a router dropped the connection."""
BATCH = 100
UNREACHABLE_SECONDS = 20.0
"""A poller that does not get through for so long gives way: the next one may have a better line."""
CONFIRM_SECONDS = 1.5
"""For the last confirmation. It counts from its arrival; an answer may be held back for 3 seconds."""
STOP_SECONDS = 5.0
"""For accepting what came in and giving the lease back."""

Accept = Callable[[Sequence[Raw]], Awaitable[None]]
"""Returns once the updates are in storage. Raises StorageError."""


@dataclass(slots=True)
class _Term:
    """The time in which this process is the one that polls."""

    held: Held
    offset: int = 0
    """The first update that is not accepted."""
    told: int = 0
    """The offset of the latest getUpdates."""
    conflicts: int = 0


class Poller:
    """One of the processes that poll for a bot."""

    def __init__(
        self,
        api: Api,
        leases: Leases,
        lease: str,
        accept: Accept,
        *,
        connected: Callable[[], None],
        elected: Callable[[], Awaitable[None]],
    ) -> None:
        """``connected`` is called when this process polls, or could as soon as the other ends; ``elected`` runs beside
        the polling, once for each time that this process begins to poll."""
        self._api = api
        self._leases = leases
        self._lease = lease
        self._accept = accept
        self._connected = connected
        self._elected = elected

    async def run(self) -> None:
        """Polls, or stands by, until cancelled. Raises SettingsError for a token that Telegram refuses."""
        while True:
            term = _Term(await self._election())
            tasks = [
                asyncio.create_task(self._poll(term), name="telegram poll"),
                asyncio.create_task(term.held.lost.wait(), name="telegram lease"),
                asyncio.ensure_future(self._elected()),
            ]
            try:
                await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await to_the_end(self._end(term, tasks), STOP_SECONDS)
            if not tasks[0].cancelled():
                tasks[0].result()
            # Time for another process to take it.
            await asyncio.sleep(2 * RETRY_SECONDS)

    async def _election(self) -> Held:
        stands_by = False
        try:
            while True:
                try:
                    if held := await self._leases.take(self._lease):
                        log.info("telegram: this process polls")
                        return held
                    if not stands_by:
                        log.info("telegram: another process polls, this one stands by")
                    stands_by = True
                    self._connected()
                except StorageError as error:
                    log.warning("telegram: not known whether another process polls", cause=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        except asyncio.CancelledError:
            # It may have become ours while nobody waited for the answer any more.
            await to_the_end(self._decline(), STOP_SECONDS)
            raise

    async def _decline(self) -> None:
        with contextlib.suppress(StorageError):
            await self._leases.set(self._lease, "free")

    async def _end(self, term: _Term, tasks: Sequence[asyncio.Future[Any]]) -> None:
        await end(tasks)
        if term.offset > term.told and term.held.is_ours:
            try:
                await self._api.call("getupdates", _fields(term.offset, 0, limit=1), CONFIRM_SECONDS)
            except TelegramError as error:
                log.debug("telegram: the last updates are not confirmed", cause=str(error))
        await term.held.release()

    async def _poll(self, term: _Term) -> None:
        """Returns when it is another process's turn."""
        try:
            await self._remove_webhook()
            await self._follow(term)
        except TelegramError:
            log.warning("telegram: no connection, so another process may try")

    async def _follow(self, term: _Term) -> None:
        """Raises TelegramError."""
        # The first call returns at once: its answer shows that this bot is the one that polls.
        waits = 0
        while term.held.is_ours:
            term.told = term.offset
            try:
                updates = await self._insist("getupdates", _fields(term.offset, waits), SILENCE_SECONDS)
            except Conflict:
                await self._wait_for_the_other(term)
                continue
            if not term.held.is_ours:
                return
            self._connected()
            term.conflicts, waits = 0, POLL_SECONDS
            if updates:
                accepting = asyncio.create_task(self._accept_for_sure(term, updates), name="telegram accept")
                try:
                    await asyncio.shield(accepting)
                except asyncio.CancelledError:
                    await to_the_end(accepting, STOP_SECONDS / 2)
                    raise

    async def _remove_webhook(self) -> None:
        hook = await self._insist("getwebhookinfo", {})
        if hook.get("url"):
            log.warning("telegram: removing the webhook that is set, because this bot polls")
            await self._insist("deletewebhook", {"drop_pending_updates": False})

    async def _insist(self, method: str, fields: dict[str, Any], seconds: float = CALL_SECONDS) -> Any:
        return await insist(self._api, method, fields, seconds=seconds, patience=UNREACHABLE_SECONDS)

    async def _wait_for_the_other(self, term: _Term) -> None:
        pause = min(insisting.FIRST_PAUSE * 2**term.conflicts, insisting.LONGEST_PAUSE)
        term.conflicts += 1
        if term.conflicts > 1:
            log.error(
                "telegram: another program receives this bot's messages. Stop it, or give this one its own token",
                again_in=pause,
            )
        # Else it may be the last call of the poller before this one.
        await asyncio.sleep(pause)

    async def _accept_for_sure(self, term: _Term, updates: Sequence[Raw]) -> None:
        """Until it is in storage; meanwhile Telegram keeps what comes after."""
        pause = insisting.FIRST_PAUSE
        while True:
            try:
                await self._accept(updates)
            except StorageError as error:
                log.error("telegram: storage does not take what came in", cause=str(error), again_in=pause)
            else:
                term.offset = int(updates[-1]["update_id"]) + 1
                return
            await asyncio.sleep(pause)
            if not term.held.is_ours:
                return
            pause = min(pause * 2, insisting.LONGEST_PAUSE)


def _fields(offset: int, timeout: int, *, limit: int = BATCH) -> dict[str, Any]:
    return {"offset": offset, "limit": limit, "timeout": timeout, "allowed_updates": list(UPDATES)}
