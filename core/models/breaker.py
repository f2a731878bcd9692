"""The circuit breaker: a provider that keeps failing is left alone for a while, then tried by one call.

Where a provider is a pool of servers, each has a circuit of its own; to the breaker they are providers.
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


def gone_circuit(model: str) -> str:
    """The circuit of a model that its provider says it does not have; no server's name has a blank."""
    return f"model {model}"


class BreakerStore(Protocol):
    """Where processes tell each other which providers are out of service. Both methods raise StorageError."""

    async def load(self) -> Mapping[str, float]:
        """Provider -> Unix time until which it is out of service, 0 when it is back. Times gone by may be left out."""
        ...

    async def store(self, provider: str, open_until: float) -> None:
        """Publishes one provider's time, or 0: it is back."""
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
        self._unpublished: dict[str, float] = {}
        self._changed = asyncio.Event()

    def admits(self, provider: str) -> bool:
        """Whether a call may be made now. A True from a half-open circuit makes that call its one trial.

        Every call admitted ends in exactly one of :meth:`succeeded`, :meth:`failed`, :meth:`withdrawn`.
        """
        if not self.would_admit(provider):
            return False
        circuit = self._circuit(provider)
        if circuit.open_until:
            # A trial that never reports, because its process hangs, must not keep the provider out for ever.
            circuit.trial_until = self._clock() + self._open_seconds
        return True

    def would_admit(self, provider: str) -> bool:
        """Whether :meth:`admits` would say yes now, without asking for the trial."""
        circuit = self._circuit(provider)
        return not circuit.open_until or self._clock() >= max(circuit.open_until, circuit.trial_until)

    def is_closed(self, provider: str) -> bool:
        """Whether the provider is in service: not out of it, and not on trial either."""
        return not self._circuit(provider).open_until

    def succeeded(self, provider: str) -> None:
        """The call gave a whole answer: the circuit closes."""
        self._circuits[provider] = _Circuit()

    def failed(self, provider: str, *, at_once: bool = False) -> None:
        """The call failed by the provider's fault; ``at_once``: so badly that the circuit opens without counting."""
        circuit = self._circuit(provider)
        circuit.failures += 1
        now = self._clock()
        on_trial = circuit.open_until > 0 and now >= circuit.open_until
        if on_trial or (not circuit.open_until and (at_once or circuit.failures >= self._limit)):
            self._open(provider)
            log.warning("provider_out_of_service", provider=provider, seconds=self._open_seconds)

    def withdrawn(self, provider: str) -> None:
        """The call ended without telling anything about the provider, e.g. because its user stopped it."""
        self._circuit(provider).trial_until = 0.0

    def prolong(self, provider: str) -> None:
        """It was looked at apart from any call, and cannot be reached: if it is out of service, it stays so."""
        if not self.is_closed(provider):
            self._open(provider)

    def recovered(self, provider: str) -> None:
        """It was looked at apart from any call, and is there again: the circuit closes, here and everywhere.

        On parole: the next failure opens it at once.
        """
        if not self.is_closed(provider):
            self._close(provider)
            self._publish(provider, 0.0)
            log.info("provider_back_in_service", provider=provider)

    def is_open(self, provider: str) -> bool:
        """Whether the provider is out of service."""
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
        for provider, open_until in list(self._unpublished.items()):
            await store.store(provider, open_until)
            if self._unpublished.get(provider) == open_until:
                del self._unpublished[provider]
        now = self._clock()
        for provider, open_until in (await store.load()).items():
            if provider in self._unpublished:
                continue
            circuit = self._circuit(provider)
            if not open_until and circuit.open_until:
                self._close(provider)
            # A time further off than a circuit ever opens for comes from a machine whose clock is wrong.
            if max(now, circuit.open_until) < open_until <= now + self._open_seconds:
                circuit.open_until = open_until
                circuit.trial_until = 0.0

    def _open(self, provider: str) -> None:
        circuit = self._circuit(provider)
        circuit.open_until = self._clock() + self._open_seconds
        circuit.trial_until = 0.0
        self._publish(provider, circuit.open_until)

    def _close(self, provider: str) -> None:
        self._circuits[provider] = _Circuit(failures=self._limit - 1)

    def _publish(self, provider: str, open_until: float) -> None:
        self._unpublished[provider] = open_until
        self._changed.set()

    def _circuit(self, provider: str) -> _Circuit:
        return self._circuits.setdefault(provider, _Circuit())
