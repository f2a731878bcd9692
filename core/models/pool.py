"""A provider's servers: which one takes a call, who waits for a free place, and which are left alone for a while.

Each server has its own places and its own circuit in the breaker. One that is out of service is looked at now and then
by a cheap GET, so that it comes back without a person's question having to try it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Set
from dataclasses import dataclass
from math import ceil
from typing import Any

import structlog

from core.errors import ModelError, ModelFault, ParleyError
from core.fair import FairQueue
from core.models.breaker import Breaker
from core.models.catalog import LOCAL, Endpoint
from core.models.wire import Wire
from core.parts import Notice
from core.tasks import end

log = structlog.get_logger()

FIRST_PROBE_SECONDS = 0.5
LAST_PROBE_SECONDS = 8.0
"""Between two looks at a server that is out of service, on the average: it doubles from the first to the last."""
PROBE_TIMEOUT_SECONDS = 8.0
NEWEST = 0.2
"""Weight of the newest call in the mean of their seconds."""
UNKNOWN_SECONDS = 30.0
"""When to try again, while no call has ended that would tell."""


class Busy(ParleyError):
    """No free place, and too long a line before it. ``seconds``: when it is worth trying again, roughly."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"busy for about {seconds:.0f} s")
        self.seconds = seconds

    def notice(self) -> Notice:
        """What the person is told, in round figures."""
        if self.seconds <= 90:
            return Notice("busy", {"seconds": str(max(10, ceil(self.seconds / 10) * 10))})
        return Notice("busy_minutes", {"minutes": str(ceil(self.seconds / 60))})


@dataclass(slots=True, eq=False)
class Line:
    """One server of a pool: its client, and the calls that it has from this process."""

    endpoint: Endpoint
    open_wire: Callable[[Endpoint], Wire]
    calls: int = 0
    is_gone: bool = False
    """Taken out of the pool: its calls may end, and then it is closed."""
    was_unreachable: bool = False
    """What took it out of service: it could not even be reached."""
    probe: asyncio.Task[None] | None = None
    opened: Wire | None = None

    @property
    def wire(self) -> Wire:
        """Its client, made at the first use: making one costs 30 ms."""
        if self.opened is None:
            self.opened = self.open_wire(self.endpoint)
        return self.opened

    @property
    def circuit(self) -> str:
        return self.endpoint.circuit

    @property
    def load(self) -> float:
        return self.calls / self.endpoint.max_concurrent


@dataclass(slots=True)
class Place:
    """A call's place at a server. It ends in exactly one of the pool's ``succeeded``, ``failed``, ``withdrawn``."""

    line: Line
    began: float
    is_alive: bool = False
    """The server has sent something; to be set by who calls."""


@dataclass(slots=True, eq=False)
class _Waiter:
    tried: Set[str]
    line: asyncio.Future[Line]


class Pool:
    """The servers of one provider, or of one local model, as this process sees them."""

    def __init__(
        self,
        breaker: Breaker,
        open_wire: Callable[[Endpoint], Wire],
        *,
        max_waiting: int,
        max_wait_seconds: float,
    ) -> None:
        """At most ``max_waiting`` calls wait for a place, each at most ``max_wait_seconds``; spaces take turns."""
        self._breaker = breaker
        self._open_wire = open_wire
        self._max_waiting = max_waiting
        self._max_wait_seconds = max_wait_seconds
        self._lines: list[Line] = []
        self._waiting: FairQueue[_Waiter] = FairQueue()
        self._mean_seconds = 0.0
        """What the last calls took; 0 before the first has ended."""
        self._background: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Ends the probes and closes every client."""
        await end(self._background)
        for line in self._lines:
            await _close(line)
        self._lines.clear()

    def update(self, endpoints: tuple[Endpoint, ...]) -> None:
        """The servers that there are now. Calls on those that went go on to their end."""
        if endpoints == tuple(line.endpoint for line in self._lines):
            return
        old = {line.endpoint: line for line in self._lines}
        self._lines = [old.pop(endpoint, None) or self._open(endpoint) for endpoint in endpoints]
        for line in old.values():
            line.is_gone = True
            self._close_if_idle(line)
        self._serve()

    def has_other(self, tried: Set[str]) -> bool:
        """Whether a server is in service that is none of ``tried`` (names in the breaker)."""
        return any(self._breaker.is_closed(line.circuit) and line.circuit not in tried for line in self._lines)

    async def take(self, space: str, tried: Set[str], deadline: float) -> Place:
        """A place at the least loaded server, if possible at none of ``tried``. ``deadline`` is on the loop's clock.

        Raises ModelError when no server is in service, Busy when the line before them is too long.
        """
        loop = asyncio.get_running_loop()
        free = self._free()
        line = self._occupy(free, tried) if free and not self._waiting else await self._wait(space, tried, deadline)
        return Place(line, loop.time())

    def succeeded(self, place: Place) -> None:
        """The call gave a whole answer."""
        self._breaker.succeeded(place.line.circuit)
        place.line.was_unreachable = False
        self._free_place(place)

    def failed(self, place: Place, fault: ModelFault) -> None:
        """The call failed by the server's fault."""
        line = place.line
        line.was_unreachable = fault is ModelFault.UNREACHABLE
        # Where others can do the work, nobody else need find out that this one is away.
        at_once = line.was_unreachable and not place.is_alive and self.has_other({line.circuit})
        self._breaker.failed(line.circuit, at_once=at_once)
        self._watch(line)
        self._free_place(place)

    def withdrawn(self, place: Place) -> None:
        """The call ended without telling anything about the server."""
        self._breaker.withdrawn(place.line.circuit)
        self._free_place(place)

    def _open(self, endpoint: Endpoint) -> Line:
        if endpoint.provider == LOCAL:
            # A server that was started anew has a clean record.
            self._breaker.recovered(endpoint.circuit)
        return Line(endpoint, self._open_wire)

    def _free(self) -> list[Line]:
        """The servers that would take a call now. Raises ModelError when none is in service."""
        serving: list[Line] = []
        for line in self._lines:
            if self._breaker.is_closed(line.circuit):
                serving.append(line)
            else:
                self._watch(line)
        serving = serving or [line for line in self._lines if self._breaker.would_admit(line.circuit)]
        if not serving:
            raise ModelError(ModelFault.UNREACHABLE, "out of service" if self._lines else "its server does not run")
        return [line for line in serving if line.calls < line.endpoint.max_concurrent]

    def _occupy(self, free: list[Line], tried: Set[str]) -> Line:
        line = min(free, key=lambda line: (line.circuit in tried, line.load, random.random()))
        self._breaker.admits(line.circuit)
        line.calls += 1
        return line

    async def _wait(self, space: str, tried: Set[str], deadline: float) -> Line:
        self._refuse_if_crowded(space)
        loop = asyncio.get_running_loop()
        waiter = _Waiter(tried, loop.create_future())
        self._waiting.push(space, waiter)
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + self._max_wait_seconds)):
                return await waiter.line
        except (TimeoutError, asyncio.CancelledError) as error:
            given = waiter.line
            if not self._waiting.remove(waiter) and not given.cancelled() and given.exception() is None:
                # It was given a place at the very moment in which it left.
                self.withdrawn(Place(given.result(), loop.time()))
            if isinstance(error, TimeoutError):
                raise Busy(self._expected(space) or UNKNOWN_SECONDS) from None
            raise

    def _refuse_if_crowded(self, space: str) -> None:
        """A space may fill half of the room that is left: so there is always some for others."""
        expected = self._expected(space)
        room = self._max_waiting - len(self._waiting)
        if self._waiting.count(space) >= room or expected > self._max_wait_seconds:
            raise Busy(expected or UNKNOWN_SECONDS)

    def _expected(self, space: str) -> float:
        """Seconds that a call of this space would wait, as far as one can tell; 0 when one cannot."""
        serving = [line for line in self._lines if self._breaker.is_closed(line.circuit)] or self._lines
        places = sum(line.endpoint.max_concurrent for line in serving)
        return self._mean_seconds * (self._waiting.ahead(space) + 1) / max(places, 1)

    def _serve(self) -> None:
        """Gives free places to those who wait; when no server is left in service, they are told."""
        while self._waiting:
            try:
                free = self._free()
            except ModelError as error:
                while (waiter := self._waiting.pop()) is not None:
                    if not waiter.line.done():
                        waiter.line.set_exception(ModelError(error.fault, error.detail))
                return
            if not free:
                return
            waiter = self._waiting.pop()
            if waiter is not None and not waiter.line.done():
                waiter.line.set_result(self._occupy(free, waiter.tried))

    def _free_place(self, place: Place) -> None:
        line = place.line
        line.calls -= 1
        if place.is_alive:
            seconds = asyncio.get_running_loop().time() - place.began
            self._mean_seconds += (seconds - self._mean_seconds) * (NEWEST if self._mean_seconds else 1.0)
        self._close_if_idle(line)
        self._serve()

    def _close_if_idle(self, line: Line) -> None:
        if line.is_gone and not line.calls:
            self._start(_close(line))

    def _watch(self, line: Line) -> None:
        """Looks at a server that is out of service until it is back."""
        if not line.is_gone and line.probe is None and not self._breaker.is_closed(line.circuit):
            line.probe = self._start(self._probe(line))

    async def _probe(self, line: Line) -> None:
        pause = FIRST_PROBE_SECONDS
        try:
            while True:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
                if line.is_gone or self._breaker.is_closed(line.circuit):
                    return
                pause = min(pause * 2, LAST_PROBE_SECONDS)
                fault = await _look(line.wire)
                if fault is ModelFault.UNREACHABLE:
                    line.was_unreachable = True
                    self._breaker.prolong(line.circuit)
                elif fault is None and (line.was_unreachable or not self._breaker.is_open(line.circuit)):
                    # That a server lists its models says little where answers were what failed: then it has to stay
                    # away for its time.
                    self._breaker.recovered(line.circuit)
                    self._serve()
        finally:
            line.probe = None

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


async def _look(wire: Wire) -> ModelFault | None:
    """What is wrong with a server, as a list of its models tells; None when it is there."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            await wire.model_ids()
    except ModelError as error:
        # It may list no models, or not so often.
        return None if error.fault in (ModelFault.REFUSED, ModelFault.RATE_LIMITED) else error.fault
    except TimeoutError:
        return ModelFault.TIMEOUT
    return None


async def _close(line: Line) -> None:
    wire, line.opened = line.opened, None
    if wire is not None:
        await wire.aclose()
