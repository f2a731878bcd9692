"""A provider's servers: which one takes a call, who waits for a free place, and which are left alone for a while.

Each server has its own places and its own circuit in the breaker. One that is out of service is looked at now and then
by a cheap GET, so that it comes back without a person's question having to try it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Set
from contextlib import aclosing
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

import structlog

from core.errors import ModelError, ModelFault, ParleyError
from core.fair import FairLine
from core.models.breaker import Breaker
from core.models.model import LOCAL, Endpoint
from core.models.wire import Wire
from core.parts import InLine, Notice
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
TOLD_AFTER_SECONDS = 1.5
"""Who waits for longer is told of their place in line."""
TOLD_AGAIN_SECONDS = 3.0
LOOK_SECONDS = 0.2
"""Between two looks for a place that another process may have given back, on the average."""


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
class Server:
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
class Seat:
    """A call's place at a server. It ends in exactly one of the pool's ``succeeded``, ``failed``, ``withdrawn``."""

    server: Server
    began: float
    is_alive: bool = False
    """The server has sent something; to be set by who calls."""
    token: str = ""
    """Of the place among those that all processes share."""


@dataclass(slots=True, eq=False)
class _Waiter:
    tried: Set[str]
    server: asyncio.Future[Server]


class Seats(Protocol):
    """Counts the places at servers that several processes ask."""

    async def take(self, server: str, most: int) -> str:
        """A token for a place; empty where all are taken."""
        ...

    async def give_back(self, token: str) -> None:
        """Never fails."""
        ...


class Pool:
    """The servers of one provider, or of one local model, as this process sees them."""

    def __init__(
        self,
        breaker: Breaker,
        open_wire: Callable[[Endpoint], Wire],
        *,
        max_waiting: int,
        max_wait_seconds: float,
        seats: Seats | None = None,
    ) -> None:
        """At most ``max_waiting`` calls wait for a place, each at most ``max_wait_seconds``; spaces take turns. With
        ``seats`` the places at the servers that Parley starts are counted over all processes."""
        self._seats = seats
        self._breaker = breaker
        self._open_wire = open_wire
        self._max_waiting = max_waiting
        self._max_wait_seconds = max_wait_seconds
        self._servers: list[Server] = []
        self._waiting: FairLine[_Waiter] = FairLine()
        self._mean_seconds = 0.0
        """What the last calls took; 0 before the first has ended."""
        self._background: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Ends the probes and closes every client."""
        await end(self._background)
        for server in self._servers:
            await _close(server)
        self._servers.clear()

    def update(self, endpoints: tuple[Endpoint, ...]) -> None:
        """The servers that there are now. Calls on those that went go on to their end."""
        if endpoints == tuple(server.endpoint for server in self._servers):
            return
        old = {server.endpoint: server for server in self._servers}
        self._servers = [old.pop(endpoint, None) or self._open(endpoint) for endpoint in endpoints]
        for server in old.values():
            server.is_gone = True
            self._close_if_idle(server)
        self._serve()

    def has_other(self, tried: Set[str]) -> bool:
        """Whether a server is in service that is none of ``tried`` (names in the breaker)."""
        return any(self._breaker.is_closed(server.circuit) and server.circuit not in tried for server in self._servers)

    async def take(self, space: str, tried: Set[str], deadline: float, person: str = "") -> Seat:
        """A place at the least loaded server, if possible at none of ``tried``. ``deadline`` is on the loop's clock.

        Raises ModelError when no server is in service, Busy when the line before them is too long.
        """
        async with aclosing(self.queue(space, tried, deadline, person)) as steps:
            async for step in steps:
                if isinstance(step, Seat):
                    return step
        raise AssertionError("a line ends in a place or an error")

    async def queue(
        self, space: str, tried: Set[str], deadline: float, person: str = ""
    ) -> AsyncGenerator[InLine | Seat, None]:
        """The same, telling the place in line while it has to be waited for; at last the seat. Spaces take turns, and
        the people of one as well. Closing it leaves the line at once."""
        seat: Seat | None = None
        async with aclosing(self._own_line(space, tried, deadline, person)) as steps:
            async for step in steps:
                if isinstance(step, InLine):
                    yield step
                else:
                    seat = step
        assert seat is not None
        is_taken = False
        try:
            endpoint = seat.server.endpoint
            if self._seats is not None and endpoint.provider == LOCAL and endpoint.is_shared:
                async with aclosing(self._shared_line(self._seats, seat, deadline)) as told:
                    async for place in told:
                        yield place
            is_taken = True
        finally:
            if not is_taken:
                self.withdrawn(seat)
        yield seat

    async def _shared_line(self, seats: Seats, seat: Seat, deadline: float) -> AsyncGenerator[InLine, None]:
        """Until the server has a place that no other process has taken."""
        loop, endpoint = asyncio.get_running_loop(), seat.server.endpoint
        until = min(deadline, loop.time() + self._max_wait_seconds)
        tell = loop.time() + TOLD_AFTER_SECONDS
        while not (token := await seats.take(endpoint.circuit, endpoint.max_concurrent)):
            if loop.time() >= until:
                raise Busy(self._seconds_of(0) or UNKNOWN_SECONDS)
            if loop.time() >= tell:
                tell = loop.time() + TOLD_AGAIN_SECONDS
                yield InLine(1, ceil(self._seconds_of(0)))
            await asyncio.sleep(random.uniform(0.5, 1.5) * LOOK_SECONDS)
        seat.token, seat.began = token, loop.time()

    async def _own_line(
        self, space: str, tried: Set[str], deadline: float, person: str
    ) -> AsyncGenerator[InLine | Seat, None]:
        loop = asyncio.get_running_loop()
        free = self._free()
        if free and not self._waiting:
            yield Seat(self._occupy(free, tried), loop.time())
            return
        self._refuse_if_crowded(space, person)
        waiter = _Waiter(tried, loop.create_future())
        self._waiting.push(space, person, waiter)
        until, is_taken = min(deadline, loop.time() + self._max_wait_seconds), False
        try:
            pause = TOLD_AFTER_SECONDS
            while not (done := await asyncio.wait((waiter.server,), timeout=min(pause, until - loop.time())))[0]:
                if loop.time() >= until:
                    raise Busy(self._seconds_of(self._waiting.before(waiter)) or UNKNOWN_SECONDS)
                pause = TOLD_AGAIN_SECONDS
                yield self._told(waiter)
            server = done[0].pop().result()
            is_taken = True
            yield Seat(server, loop.time())
        finally:
            if not is_taken:
                self._leave(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        given = waiter.server
        if not self._waiting.remove(waiter) and given.done() and given.exception() is None:
            # It was given a place at the very moment in which it left.
            self.withdrawn(Seat(given.result(), asyncio.get_running_loop().time()))

    def _told(self, waiter: _Waiter) -> InLine:
        before = self._waiting.before(waiter)
        return InLine(before + 1, ceil(self._seconds_of(before)))

    def succeeded(self, seat: Seat) -> None:
        """The call gave a whole answer."""
        self._breaker.succeeded(seat.server.circuit)
        seat.server.was_unreachable = False
        self._give_up(seat)

    def failed(self, seat: Seat, fault: ModelFault) -> None:
        """The call failed by the server's fault."""
        server = seat.server
        server.was_unreachable = fault is ModelFault.UNREACHABLE
        # Where others can do the work, nobody else need find out that this one is away.
        at_once = server.was_unreachable and not seat.is_alive and self.has_other({server.circuit})
        self._breaker.failed(server.circuit, at_once=at_once)
        self._watch(server)
        self._give_up(seat)

    def withdrawn(self, seat: Seat) -> None:
        """The call ended without telling anything about the server."""
        self._breaker.withdrawn(seat.server.circuit)
        self._give_up(seat)

    def _open(self, endpoint: Endpoint) -> Server:
        if endpoint.provider == LOCAL:
            # A server that was started anew has a clean record.
            self._breaker.recovered(endpoint.circuit)
        return Server(endpoint, self._open_wire)

    def _free(self) -> list[Server]:
        """The servers that would take a call now. Raises ModelError when none is in service."""
        serving: list[Server] = []
        for server in self._servers:
            if self._breaker.is_closed(server.circuit):
                serving.append(server)
            else:
                self._watch(server)
        serving = serving or [server for server in self._servers if self._breaker.would_admit(server.circuit)]
        if not serving:
            raise ModelError(ModelFault.UNREACHABLE, "out of service" if self._servers else "its server does not run")
        return [server for server in serving if server.calls < server.endpoint.max_concurrent]

    def _occupy(self, free: list[Server], tried: Set[str]) -> Server:
        server = min(free, key=lambda server: (server.circuit in tried, server.load, random.random()))
        self._breaker.admits(server.circuit)
        server.calls += 1
        return server

    def _refuse_if_crowded(self, space: str, person: str) -> None:
        """A space may fill half of the room that is left: so there is always some for others."""
        expected = self._expected(space, person)
        room = self._max_waiting - len(self._waiting)
        if self._waiting.count(space) >= room or expected > self._max_wait_seconds:
            raise Busy(expected or UNKNOWN_SECONDS)

    def _expected(self, space: str, person: str) -> float:
        """Seconds that a call of this person would wait, as far as one can tell; 0 when one cannot."""
        return self._seconds_of(self._waiting.ahead(space, person))

    def _seconds_of(self, ahead: int) -> float:
        """Seconds until so many have been served and there is a place for the next."""
        serving = [server for server in self._servers if self._breaker.is_closed(server.circuit)] or self._servers
        seats = sum(server.endpoint.max_concurrent for server in serving)
        return self._mean_seconds * (ahead + 1) / max(seats, 1)

    def _serve(self) -> None:
        """Gives free places to those who wait; when no server is left in service, they are told."""
        while self._waiting:
            try:
                free = self._free()
            except ModelError as error:
                while (waiter := self._waiting.pop()) is not None:
                    if not waiter.server.done():
                        waiter.server.set_exception(ModelError(error.fault, error.detail))
                return
            if not free:
                return
            waiter = self._waiting.pop()
            if waiter is not None and not waiter.server.done():
                waiter.server.set_result(self._occupy(free, waiter.tried))

    def _give_up(self, seat: Seat) -> None:
        server = seat.server
        server.calls -= 1
        if seat.token and self._seats is not None:
            self._start(self._seats.give_back(seat.token))
            seat.token = ""
        if seat.is_alive:
            seconds = asyncio.get_running_loop().time() - seat.began
            self._mean_seconds += (seconds - self._mean_seconds) * (NEWEST if self._mean_seconds else 1.0)
        self._close_if_idle(server)
        self._serve()

    def _close_if_idle(self, server: Server) -> None:
        if server.is_gone and not server.calls:
            self._start(_close(server))

    def _watch(self, server: Server) -> None:
        """Looks at a server that is out of service until it is back."""
        if not server.is_gone and server.probe is None and not self._breaker.is_closed(server.circuit):
            server.probe = self._start(self._probe(server))

    async def _probe(self, server: Server) -> None:
        pause = FIRST_PROBE_SECONDS
        try:
            while True:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
                if server.is_gone or self._breaker.is_closed(server.circuit):
                    return
                pause = min(pause * 2, LAST_PROBE_SECONDS)
                fault = await _look(server.wire)
                if fault is ModelFault.UNREACHABLE:
                    server.was_unreachable = True
                    self._breaker.prolong(server.circuit)
                elif fault is None and (server.was_unreachable or not self._breaker.is_open(server.circuit)):
                    # That a server lists its models says little where answers were what failed: then it has to stay
                    # away for its time.
                    self._breaker.recovered(server.circuit)
                    self._serve()
        finally:
            server.probe = None

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


async def _close(server: Server) -> None:
    wire, server.opened = server.opened, None
    if wire is not None:
        await wire.aclose()
