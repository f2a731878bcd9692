"""The processes that share one bot's traffic, and the number of parts (Discord's shards) into which they split it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.storage import keys
from core.storage.client import Store


@dataclass(frozen=True, slots=True)
class Member:
    """A living process of the fleet, as it last said."""

    name: str
    wanted: int
    """The number of parts that its settings ask for; 0 for any."""
    running: int
    """The number of parts by which it works, or is about to."""
    parts: frozenset[int]
    """The parts that it holds."""
    own: frozenset[int] = frozenset()
    """The parts that it alone is to hold, whether it does yet or not. Empty: any that are nobody's own."""


@dataclass(frozen=True, slots=True)
class Roll:
    """The fleet at one moment."""

    number: int
    members: tuple[Member, ...]

    @property
    def is_settled(self) -> bool:
        """Nobody works by another number any more."""
        return all(member.running == self.number for member in self.members)


class Fleet:
    """One process's membership. ``owner`` names the process, the same after a restart.

    The number lives as long as any member does, so that no two numbers are ever worked by at once: a member works by
    the number of the last roll, and only when that is settled; it ends what it does by another number.
    """

    def __init__(self, store: Store, name: str, owner: str, *, seconds: float) -> None:
        """A member that has not joined again for ``seconds`` is taken for dead."""
        self._store = store
        self._name = name
        self._owner = owner
        self._seconds = seconds

    async def join(
        self,
        proposed: int,
        wanted: int,
        running: int,
        parts: frozenset[int],
        change: int = 0,
        own: Collection[int] = (),
    ) -> Roll:
        """Says that this process lives and what it does, and which parts it alone is to run; the fleet then.

        ``proposed`` becomes the number when there is none, or nobody else and nothing running here; ``change`` in any
        case. ``running`` is 0 while this process holds no part. Raises StorageError.
        """
        arguments = (
            *(self._owner, int(self._seconds * 1000), proposed, wanted, running),
            *(_written(parts), change, _written(own)),
        )
        number, rows = await self._store.run("fleet", [keys.fleet(self._name)], arguments, patience=self._seconds / 2)
        return Roll(int(number), tuple(_member(*row) for row in rows))

    async def leave(self) -> None:
        """The others need not wait for this process's time to run out. Raises StorageError."""
        field = f"@{self._owner}"
        await self._store.attempt(
            lambda: self._store.redis.hdel(keys.fleet(self._name), field), patience=self._seconds / 2
        )

    async def may(self, what: str, seconds: float) -> float:
        """Lets one process do it in any ``seconds``: 0.0 for the one that may now, or the seconds until one may.

        Raises StorageError.
        """
        key, life = keys.recently(f"{self._name}:{what}"), int(seconds * 1000)

        async def work() -> float:
            if await self._store.redis.set(key, self._owner, nx=True, px=life):
                return 0.0
            return max(1, int(await self._store.redis.pttl(key))) / 1000

        return await self._store.attempt(work, patience=self._seconds / 2)


def _member(name: str, wanted: str, running: str, parts: str, own: str) -> Member:
    return Member(name, int(wanted), int(running), _read(parts), _read(own))


def _written(parts: Collection[int]) -> str:
    return ",".join(map(str, sorted(parts)))


def _read(parts: str) -> frozenset[int]:
    return frozenset(int(part) for part in parts.split(",") if part)
