"""Carries out what goes wrong."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.chaos.fleet import Member
from tests.chaos.journal import TROUBLE, Journal
from tests.chaos.plan import Kind, Trouble
from tests.chaos.proxy import Proxy
from tests.chaos.store import StoreServer
from tests.platforms import discord_wire, openai_server, telegram_server
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TelegramServer

Item = TypeVar("Item")
# Done, and the answer lost: what is hardest to get right comes most often.
TELEGRAM_FAULTS = (
    *(fault for fault in telegram_server.Fault if fault is not telegram_server.Fault.REFUSE),
    *[telegram_server.Fault.RESET_AFTER] * 4,
)
TELEGRAM_METHODS = ("sendMessage", "sendMessage", "editMessageText", "*", "getUpdates")
DISCORD_FAULTS = (*discord_wire.Fault, *[discord_wire.Fault.RESET_AFTER] * 4)
DISCORD_CALLS = ("POST /channels", "POST /channels", "PATCH /channels", "GET /channels", "")
MODEL_FAULTS = tuple(
    fault
    for fault in openai_server.Fault
    if fault not in (openai_server.Fault.UNAUTHORISED, openai_server.Fault.CONTENT_FILTER)
)
JUMPS = (-10_800.0, -3700.0, -300.0, -20.0, 20.0, 300.0, 3700.0, 10_800.0)
"""Seconds."""


@dataclass
class Troubles:
    """Everything that can be broken, and how."""

    journal: Journal
    store: StoreServer
    members: Sequence[Member]
    telegram: TelegramServer
    discord: FakeDiscord
    models: Sequence[OpenAIServer]
    model_links: Sequence[Proxy]
    shared: Sequence[tuple[str, Proxy]]
    """Links that all members share, with their names."""
    jumpers: Sequence[Member]
    """Members whose clock can be set."""
    done: Counter[str] = field(default_factory=Counter[str])
    kills: int = 0
    _lasting: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _store_down: bool = False

    def begin(self, trouble: Trouble) -> None:
        """Does not wait for its end."""
        task = asyncio.create_task(self._do(trouble), name=trouble.kind)
        self._lasting.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._lasting.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.journal.note("driver", f"trouble {task.get_name()} failed: {error!r}")

    async def heal(self) -> None:
        """Ends everything that goes wrong, and returns when all processes are ready."""
        for task in list(self._lasting):
            task.cancel()
        await asyncio.gather(*self._lasting, return_exceptions=True)
        self.store.resume()
        if self._store_down:
            await self.store.start()
            self._store_down = False
        for _, link in self._links():
            link.heal()
        for model in self.models:
            model.strikes.clear()
        self.telegram.forgive()
        self.discord.wire.faults.clear()
        for member in self.members:
            member.resume()
        for member in self.jumpers:
            member.jump(0)
        self._note("all faults end")

    def _note(self, what: str) -> None:
        self.journal.note(TROUBLE, what)

    def _links(self) -> list[tuple[str, Proxy]]:
        own = [(f"{member.name}/{name}", link) for member in self.members for name, link in member.links.items()]
        return [*own, *self.shared]

    async def _do(self, trouble: Trouble) -> None:
        self.done[trouble.kind] += 1
        match trouble.kind:
            case Kind.KILL_RECEIVER:
                self._kill(_picked([m for m in self.members if m.is_receiver], trouble.pick), trouble)
            case Kind.KILL_WORKER:
                workers = [m for m in self.members if not m.is_receiver] or list(self.members)
                self._kill(_picked(workers, trouble.pick), trouble)
            case Kind.RESTART:
                member = _picked(self.members, trouble.pick)
                self._note(f"SIGTERM {member.name}")
                member.send(signal.SIGTERM)
            case Kind.PAUSE:
                member = _picked(self.members, trouble.pick)
                await self._last(f"pause {member.name}", trouble.seconds, member.pause, member.resume)
            case Kind.KILL_STORE:
                await self._kill_store(trouble)
            case Kind.PAUSE_STORE:
                await self._last("pause store", trouble.seconds, self.store.pause, self.store.resume)
            case Kind.CLOCK:
                await self._jump(trouble)
            case Kind.GATEWAY:
                self._gateway(trouble)
            case Kind.MODEL | Kind.MODEL_DOWN | Kind.TELEGRAM | Kind.DISCORD:
                await self._server(trouble)
            case Kind.CUT | Kind.REFUSE | Kind.DELAY | Kind.STALL:
                await self._link(trouble)

    def _kill(self, member: Member, trouble: Trouble) -> None:
        if member.send(signal.SIGKILL, trouble.seconds):
            self.kills += 1
            self._note(f"kill -9 {member.name}, away for {trouble.seconds} s")

    async def _kill_store(self, trouble: Trouble) -> None:
        if self._store_down:
            return
        self._store_down = True
        self._note(f"kill -9 store, away for {trouble.seconds} s")
        self.kills += 1
        await self.store.kill()
        await asyncio.sleep(trouble.seconds)
        await self.store.start()
        self._store_down = False

    async def _last(self, what: str, seconds: float, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._note(f"{what} for {seconds} s")
        begin()
        await asyncio.sleep(seconds)
        end()
        self._note(f"{what} is over")

    async def _jump(self, trouble: Trouble) -> None:
        if not self.jumpers:
            return
        member = _picked(self.jumpers, trouble.pick)
        seconds = JUMPS[int(trouble.amount * len(JUMPS)) % len(JUMPS)]

        def begin() -> None:
            member.jump(seconds)

        await self._last(
            f"clock of {member.name} is off by {seconds:+.0f} s", trouble.seconds, begin, lambda: member.jump(0)
        )

    def _gateway(self, trouble: Trouble) -> None:
        gateway = self.discord.gateway
        ways: tuple[tuple[str, Callable[[], None]], ...] = (
            ("drop", gateway.drop),
            ("reconnect", gateway.reconnect),
            ("invalidate", gateway.invalidate),
            ("invalidate, resumable", lambda: gateway.invalidate(resumable=True)),
            ("forget sessions", gateway.forget_sessions),
        )
        name, way = _picked(ways, trouble.pick)
        self._note(f"gateway: {name}")
        way()

    async def _server(self, trouble: Trouble) -> None:
        times = 1 + int(trouble.amount * 4)
        match trouble.kind:
            case Kind.TELEGRAM:
                fault = _picked(TELEGRAM_FAULTS, trouble.pick)
                method = _picked(TELEGRAM_METHODS, trouble.pick // 100)
                self._note(f"telegram: {times} × {fault.name} for {method}")
                self.telegram.fail(method, fault, times=times, retry_after=1 + int(trouble.amount * 3))
            case Kind.DISCORD:
                fault = _picked(DISCORD_FAULTS, trouble.pick)
                call = _picked(DISCORD_CALLS, trouble.pick // 100)
                self._note(f"discord: {times} × {fault.name} for {call or 'any call'}")
                self.discord.fail(fault, call, times, 0.2 + trouble.amount * 2)
            case Kind.MODEL:
                fault = _picked(MODEL_FAULTS, trouble.pick)
                model = _picked(self.models, trouble.pick // 100)
                self._note(f"model {model.models[0]}: {times} × {fault.name}")
                slow = fault in (openai_server.Fault.SLOW, openai_server.Fault.RATE_LIMIT)
                model.fail(fault, 1 + trouble.amount * 6 if slow else None, times=times)
            case _:
                down = list(self.model_links) if trouble.amount > 0.5 else [_picked(self.model_links, trouble.pick)]

                def begin() -> None:
                    for link in down:
                        link.refuses = True
                        link.cut()

                def end() -> None:
                    for link in down:
                        link.heal()

                await self._last(f"{len(down)} models are down", trouble.seconds, begin, end)

    async def _link(self, trouble: Trouble) -> None:
        name, link = _picked(self._links(), trouble.pick)
        match trouble.kind:
            case Kind.CUT:
                self._note(f"cut {name}")
                link.cut()
            case Kind.REFUSE:

                def begin() -> None:
                    link.refuses = True
                    link.cut()

                await self._last(f"{name} refuses", trouble.seconds, begin, link.heal)
            case Kind.DELAY:

                def slow() -> None:
                    link.delay = 0.05 + trouble.amount * 0.4

                await self._last(f"{name} is slow", trouble.seconds, slow, link.heal)
            case _:

                def stall() -> None:
                    link.stalls = True

                await self._last(f"{name} stalls", trouble.seconds, stall, link.heal)


def _picked(items: Sequence[Item], pick: int) -> Item:
    return items[pick % len(items)]
