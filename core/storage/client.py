"""The connection to Redis or Valkey, its scripts, and what happens while it is away.

Every script is written so that running it twice does what running it once does. So a lost reply is answered by
running the script again, which the client library must not decide for us: its own retries are off.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from core.errors import LeaseLost, StorageError, StorageFull
from core.storage.address import Address
from core.storage.cluster import by_slot
from core.storage.connections import COMMAND_SECONDS, alone, connect
from core.storage.keys import ConversationKeys, load, ready
from core.storage.line import Line
from core.storage.texts import PLAIN, Texts
from core.storage.waits import Waits

log = structlog.get_logger()
Value = TypeVar("Value")

SCRIPTS = Path(__file__).parent / "scripts"
AWAY = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    MasterDownError,
    MovedError,
    AskError,
    TryAgainError,
    ClusterDownError,
    OSError,
)
"""What servers answer that restart, fail over or hand slots on."""
AWAY_WORDS = ("NOREPLICAS", "UNBLOCKED", "BUSY ")
"""The same, where the client has no class for it: too few replicas, a replica by now, a script that takes long."""
FULL_WORD = "MISCONF "
"""What a server answers that cannot write to its disk."""
PATIENCE_SECONDS = 30.0
"""How long one call waits for a server that is away."""
WAIT_SECONDS = 4.0
"""The longest that a call may block in the server: less than a connection waits for its reply."""

ALONE = frozenset(
    (
        "sweep",
        "permits",
        "budget_join",
        "creation",
        "deadline",
        "hold",
        "link_claim",
        "link_issue",
        "fleet",
        "limits",
        "mood",
        "reseal",
        "seats",
        "places",
        "record",
        "renamed",
        "retain",
        "schema_raise",
        "watched",
        "web_save",
        "web_page",
        "web_changes",
        "dump",
        "fill",
    )
)
"""Scripts about something else than one conversation: they have no prelude."""


PRELUDES = {
    **dict.fromkeys(("reserve", "settle"), "prelude_budget"),
    **dict.fromkeys(("planned", "case"), "prelude_cases"),
}
"""Scripts that share another prelude than that of conversations."""


@cache
def _script(name: str) -> tuple[str, str]:
    """A script's text with its prelude, and its SHA-1."""
    text = (SCRIPTS / f"{name}.lua").read_text("utf-8")
    if name not in ALONE:
        prelude = PRELUDES.get(name, "prelude")
        text = (SCRIPTS / f"{prelude}.lua").read_text("utf-8") + text
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Store:
    """What REDIS_URL names, one server or many, for the whole process."""

    def __init__(self, address: Address | str, texts: Texts = PLAIN) -> None:
        """Connects with the first call. Raises SettingsError for a certificate that is no use."""
        self.texts = texts
        """Through it goes all that people said, on its way in and out."""
        self.address = address if isinstance(address, Address) else Address.parse(address)
        # The client's own types know neither decoded replies nor scripts: what leaves core/storage is typed there.
        self.redis: Any = connect(self.address)
        self.calls = 0
        """Round trips so far, for the benchmark."""
        # On a cluster each call finds its own node.
        self._line = None if self.address.topology == "cluster" else Line(partial(alone, self.redis), COMMAND_SECONDS)
        self._waits = Waits(self._pop, by_slot if self.address.topology == "cluster" else lambda keys: [tuple(keys)])

    async def close(self) -> None:
        await self._waits.close()
        if self._line is not None:
            await self._line.close()
        await self.redis.aclose()
        if self.address.topology != "cluster":
            await self.redis.connection_pool.disconnect()

    async def attempt(self, work: Callable[[], Awaitable[Value]], patience: float = PATIENCE_SECONDS) -> Value:
        """Does an idempotent piece of work, again while the server is away for up to ``patience`` seconds.

        Raises StorageError when it stays away, or refuses.
        """
        deadline = asyncio.get_running_loop().time() + patience
        pause = 0.02
        while True:
            self.calls += 1
            try:
                return await work()
            except (RedisError, OSError) as error:
                if not is_away(error):
                    raise _refused(error) from error
                if asyncio.get_running_loop().time() + pause > deadline:
                    raise StorageError(f"Redis has been away for {patience:.0f} s: {type(error).__name__}") from error
                if pause > 0.5:
                    log.warning("redis is away", cause=type(error).__name__)
                if isinstance(error, ReadOnlyError) and self._line is not None:
                    # The name or the proxy that we connected by may lead to another server by now.
                    self._line.hang_up()
                    await self.redis.connection_pool.disconnect(inuse_connections=False)
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)

    async def run(
        self,
        name: str,
        keys: Sequence[str],
        args: Sequence[str | int | float],
        sent: Callable[[], None] | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> Any:
        """One script, one round trip; ``sent`` is told of every try. Raises LeaseLost for a stale fencing token,
        StorageError."""
        text, digest = _script(name)
        call = self._line.call if self._line is not None else self.redis.execute_command

        async def work() -> Any:
            if sent is not None:
                sent()
            try:
                return await call("EVALSHA", digest, len(keys), *keys, *args)
            except NoScriptError:
                return await call("EVAL", text, len(keys), *keys, *args)

        return await self.attempt(work, patience)

    async def run_many(
        self,
        name: str,
        calls: Sequence[tuple[Sequence[str], Sequence[str | int | float]]],
        sent: Callable[[], None] | None = None,
    ) -> list[Any]:
        """The same script many times in one round trip; a stale fencing token comes back as LeaseLost in the list.

        Raises StorageError when the server refuses any of them for another reason.
        """
        if len(calls) == 1:
            try:
                return [await self.run(name, *calls[0], sent)]
            except LeaseLost as error:
                return [error]
        text, digest = _script(name)

        async def work() -> list[Any]:
            if sent is not None:
                sent()
            pipe = self.redis.pipeline(transaction=False)
            for keys, args in calls:
                pipe.evalsha(digest, len(keys), *keys, *args)
            replies = await pipe.execute(raise_on_error=False)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                pipe = self.redis.pipeline(transaction=False)
                for keys, args in calls:
                    pipe.eval(text, len(keys), *keys, *args)
                replies = await pipe.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception) and not _is_stale(reply):
                    raise reply
            return [LeaseLost(str(reply)) if isinstance(reply, Exception) else reply for reply in replies]

        return await self.attempt(work)

    async def pop(self, keys: Sequence[str], count: int, seconds: float) -> list[str]:
        """Takes up to ``count`` values from one of the lists as soon as any has something; none after ``seconds``.

        For hints only: what is taken while the caller is cancelled, or the reply gets lost, is gone. One caller at a
        time. Raises StorageError at once when the server is away: the caller pauses and asks again.
        """
        return await self._waits.pop(keys, count, min(seconds, WAIT_SECONDS))

    async def _pop(self, keys: Sequence[str], count: int, seconds: float) -> list[str]:
        self.calls += 1
        try:
            reply = await self.redis.execute_command("BLMPOP", seconds, len(keys), *keys, "LEFT", "COUNT", count)
        except (RedisError, OSError) as error:
            raise StorageError(f"Redis: {type(error).__name__}") from error
        return list(reply[1]) if reply else []


def is_away(error: Exception) -> bool:
    """Whether a server may do later what it did not do now."""
    return isinstance(error, AWAY) or (isinstance(error, ResponseError) and str(error).startswith(AWAY_WORDS))


def _refused(error: Exception) -> StorageError | LeaseLost:
    if _is_stale(error):
        return LeaseLost(str(error))
    if isinstance(error, OutOfMemoryError) or str(error).startswith(FULL_WORD):
        return StorageFull(f"Redis has no room: {error}")
    return StorageError(f"Redis refused: {error}" if isinstance(error, ResponseError) else f"Redis: {error}")


def _is_stale(error: Exception) -> bool:
    return isinstance(error, ResponseError) and str(error).startswith("STALE")


def conversation_keys(keys: ConversationKeys, seen: str = "", feedback: str = "") -> list[str]:
    """The key list of the scripts that share the prelude. A script that does not use the last two gets stand-ins."""
    return [
        keys.box,
        keys.state,
        keys.turn,
        keys.tree,
        keys.order,
        keys.ready,
        keys.load,
        keys.wake,
        seen or keys.box,
        feedback or keys.box,
    ]


def partition_keys(partition: int) -> list[str]:
    """The key list of scripts with the prelude that are about a whole partition: the first five are stand-ins."""
    return [ready(partition)] * 6 + [load(partition)]
