"""Clients for people's own API keys: a few are kept, and closed when others take their place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from core.errors import ModelError, ModelFault
from core.models.model import Endpoint
from core.models.wire import Wire
from core.parts import Notice

MOST = 64
"""Clients kept: making one costs 30 ms."""
LONGEST = 512
"""Characters of a key."""
THEIRS = frozenset({ModelFault.UNAUTHORISED, ModelFault.RATE_LIMITED})
"""What goes wrong with a key (refused, no credit, too many calls) and tells nothing of the server."""


class OwnKeyError(ModelError):
    """A person's own key was not taken. Nothing of what the provider said is told: it may repeat the key."""

    def __init__(self, provider: str, error: ModelError) -> None:
        super().__init__(error.fault, f"{provider} did not take the asker's own key")
        self.provider = provider

    def notice(self, shared: bool = False) -> Notice:
        """What its owner is told; ``shared``: the community's budget pays in its place."""
        return Notice("own_key_failed_shared" if shared else "own_key_failed", {"provider": self.provider})


@dataclass(slots=True)
class _Open:
    wire: Wire
    users: int = 0


class OwnWires:
    """One client for each server and key."""

    def __init__(self, open_wire: Callable[[Endpoint], Wire]) -> None:
        self._open_wire = open_wire
        self._open: OrderedDict[tuple[str, str], _Open] = OrderedDict()

    @asynccontextmanager
    async def use(self, endpoint: Endpoint, key: str) -> AsyncGenerator[Wire, None]:
        """A client that calls the server with this key. What goes wrong with the key is raised as OwnKeyError."""
        if not key:
            raise OwnKeyError(endpoint.provider, ModelError(ModelFault.UNAUTHORISED, "it cannot be opened"))
        named = endpoint.base_url, key
        if (known := self._open.get(named)) is None:
            known = self._open[named] = _Open(self._open_wire(replace(endpoint, api_key=key)))
        self._open.move_to_end(named)
        known.users += 1
        try:
            yield known.wire
        except ModelError as error:
            raise told(endpoint.provider, error) from None
        finally:
            known.users -= 1
            await self._close_old()

    async def check(self, endpoint: Endpoint, key: str) -> None:
        """Whether the provider takes the key, by a list of its models. Raises OwnKeyError, ModelError, TimeoutError."""
        async with self.use(endpoint, key) as wire:
            await wire.model_ids()

    async def aclose(self) -> None:
        """Closes all of them."""
        while self._open:
            _, known = self._open.popitem()
            await known.wire.aclose()

    async def _close_old(self) -> None:
        idle = [named for named, known in self._open.items() if not known.users]
        for named in idle[: max(0, len(self._open) - MOST)]:
            await self._open.pop(named).wire.aclose()


def told(provider: str, error: ModelError) -> ModelError:
    """An error of a call with somebody's own key, as it may be told and logged."""
    if error.fault in THEIRS:
        return OwnKeyError(provider, error)
    return ModelError(error.fault, "with an own key", retryable=error.retryable, retry_after=error.retry_after)
