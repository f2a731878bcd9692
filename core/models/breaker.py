"""The circuit breaker: a provider that keeps failing is left alone for a while, then tried by one call.

Every decision is local and costs no round trip. A provider that opens here is published, and what other
processes published is taken over, in the background by :meth:`Breaker.run`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from core.errors import StorageError

log = structlog.get_logger()


class BreakerStore(Protocol):
    """Where processes tell each other which providers are out of service. Both methods raise StorageError."""

    async def load(self) -> Mapping[str, float]:
        """Provider -> Unix time until which it is out of service. Times gone by may be left out."""
        ...

    async def store(self, provider: str, open_until: float) -> None:
        """Publishes one provider's time."""
        ...


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    """In a row, while closed."""
    open_until: float = 0.0
    """Unix time; 0 while closed."""
    trial_until: float = 0.0
    """Until then one call is trying the provider again, and no other may."""


class Breaker:
    """``failures`` in a row open a provider's circuit for ``open_seconds``; ``clock`` gives Unix seconds."""

    def __init__(self, failures: int, open_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._limit = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}
        self._opened: dict[str, float] = {}
        self._changed = asyncio.Event()

    def admits(self, provider: str) -> bool:
        """Whether a call may be made now. A True from a half-open circuit makes that call its one trial.

        Every call admitted ends in exactly one of :meth:`succeeded`, :meth:`failed`, :meth:`withdrawn`.
        """
        circuit = self._circuit(provider)
        now = self._clock()
        if not circuit.open_until:
            return True
        if now < max(circuit.open_until, circuit.trial_until):
            return False
        # A trial that never reports, because its process hangs, must not keep the provider out for ever.
        circuit.trial_until = now + self._open_seconds
        return True

    def succeeded(self, provider: str) -> None:
        """The call gave a whole answer: the circuit closes."""
        self._circuits[provider] = _Circuit()

    def failed(self, provider: str) -> None:
        """The call failed by the provider's fault."""
        circuit = self._circuit(provider)
        circuit.failures += 1
        now = self._clock()
        on_trial = circuit.open_until > 0 and now >= circuit.open_until
        if on_trial or (not circuit.open_until and circuit.failures >= self._limit):
            circuit.open_until = now + self._open_seconds
            circuit.trial_until = 0.0
            self._opened[provider] = circuit.open_until
            self._changed.set()
            log.warning("provider_out_of_service", provider=provider, seconds=self._open_seconds)

    def withdrawn(self, provider: str) -> None:
        """The call ended without telling anything about the provider, e.g. because its user stopped it."""
        self._circuit(provider).trial_until = 0.0

    def is_open(self, provider: str) -> bool:
        """Whether the provider is out of service, for status pages."""
        return self._clock() < self._circuit(provider).open_until

    async def run(self, store: BreakerStore, refresh_seconds: float = 5.0) -> None:
        """Publishes and takes over until cancelled. Without the store the processes decide apart."""
        while True:
            try:
                await self.synchronise(store)
            except StorageError as error:
                log.warning("breaker not shared", error=str(error))
            try:
                async with asyncio.timeout(refresh_seconds):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def synchronise(self, store: BreakerStore) -> None:
        """One round: publishes what opened here, takes over what opened elsewhere. Raises StorageError."""
        self._changed.clear()
        for provider, open_until in list(self._opened.items()):
            await store.store(provider, open_until)
            if self._opened.get(provider) == open_until:
                del self._opened[provider]
        now = self._clock()
        for provider, open_until in (await store.load()).items():
            circuit = self._circuit(provider)
            # A time further off than a circuit ever opens for comes from a machine whose clock is wrong.
            if max(now, circuit.open_until) < open_until <= now + self._open_seconds:
                circuit.open_until = open_until
                circuit.trial_until = 0.0

    def _circuit(self, provider: str) -> _Circuit:
        return self._circuits.setdefault(provider, _Circuit())
