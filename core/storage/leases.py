"""Named leases: things that one process of a fleet does at a time, like polling Telegram or running a Discord shard.

A lease ends by itself after ``seconds`` unless renewed, so a dead process's work is free again soon. Its holder
must stop the work when :attr:`Held.lost` is set: by then another process may have begun it.
"""

from __future__ import annotations

import asyncio

import structlog

from core import clock
from core.errors import StorageError
from core.storage import keys
from core.storage.client import Store
from core.tasks import end, to_the_end

log = structlog.get_logger()

SECONDS = 6.0
"""A dead holder's lease is free after this time."""
RETRY_SECONDS = 0.5
"""How often :meth:`Leases.wait` looks whether a lease is free."""
RELEASE_SECONDS = 2.0
"""How long giving one back may take. After that it ends by itself."""


class Held:
    """A lease that is ours, renewed in the background until it is released or lost."""

    def __init__(self, name: str, leases: Leases, until: float) -> None:
        self.name = name
        self.lost = asyncio.Event()
        self._leases = leases
        self._until = until
        self._renewing = asyncio.create_task(self._renew(), name=f"lease {name}")

    @property
    def is_ours(self) -> bool:
        """Whether nobody else can have it yet. Costs no round trip: who must not act twice asks before each act."""
        return not self.lost.is_set() and clock.seconds() < self._until

    async def release(self) -> None:
        """Gives it back, so that no other process has to wait. Goes on for a moment though its caller is cancelled."""
        await to_the_end(self._release(), RELEASE_SECONDS)

    async def _release(self) -> None:
        await end([self._renewing])
        self.lost.set()
        try:
            await self._leases.set(self.name, "free")
        except StorageError as error:
            log.warning("lease not given back", lease=self.name, cause=str(error))

    async def _renew(self) -> None:
        while not self.lost.is_set():
            await asyncio.sleep(self._leases.seconds / 3)
            sent = clock.seconds()
            try:
                kept = await self._leases.set(self.name, "keep")
            except StorageError as error:
                log.warning("lease not renewed", lease=self.name, cause=str(error))
                kept = sent < self._until
            else:
                self._until = sent + self._leases.seconds if kept else 0.0
            if not kept:
                log.warning("lease lost", lease=self.name)
                self.lost.set()


class Leases:
    """The leases of one process. ``owner`` names it among all processes, the same after a restart."""

    def __init__(self, store: Store, owner: str, *, seconds: float = SECONDS) -> None:
        self._store = store
        self.owner = owner
        self.seconds = seconds

    async def take(self, name: str) -> Held | None:
        """The lease, or None while another process has it. Raises StorageError."""
        sent = clock.seconds()
        return Held(name, self, sent + self.seconds) if await self.set(name, "take") else None

    async def wait(self, name: str) -> Held:
        """The lease, once it is free. Goes on waiting while the storage is away."""
        while True:
            try:
                if held := await self.take(name):
                    return held
            except StorageError as error:
                log.warning("lease not asked for", lease=name, cause=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def set(self, name: str, mode: str) -> bool:
        """One step of the script ``hold``: take, keep or free. Raises StorageError."""
        arguments = (self.owner, int(self.seconds * 1000), mode)
        return bool(await self._store.run("hold", [keys.lease(name)], arguments, patience=self.seconds / 2))
