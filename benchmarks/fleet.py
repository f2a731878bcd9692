"""Several processes of Parley over one Redis: started, told to stop and killed one by one."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import READY, Running, running, settings


@dataclass(slots=True)
class Member:
    """A process of the fleet, and how it was started."""

    command: tuple[str, ...]
    process: Running
    ending: AsyncExitStack
    used: float = 0.0
    """Processor seconds of the processes that had this name before."""


class Fleet:
    """Processes by name. Each has a data folder of its own, as on a machine of its own."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self._env, self._folder = env, folder
        self._members: dict[str, Member] = {}

    async def start(self, name: str, *command: str, env: Mapping[str, str] | None = None) -> Running:
        """Starts ``parley <command>`` (or, beginning with ``-m``, another module) and waits until it is ready."""
        arguments = command if command[0] == "-m" else ("-m", "bots", *command)
        folder = self._folder / name
        ending = AsyncExitStack()
        environment = settings({**self._env, **(env or {})}, folder / "data")
        process = await ending.enter_async_context(running(arguments, environment, READY, folder))
        before = self._members.get(name)
        self._members[name] = Member(command, process, ending, before.used if before else 0.0)
        return process

    async def stop(self, name: str) -> float:
        """SIGTERM; returns the seconds that the process took to end."""
        member = self._members[name]
        member.used += member.process.cpu()
        began = time.perf_counter()
        await member.ending.aclose()
        return time.perf_counter() - began

    async def restart(self, name: str) -> None:
        """Ends a process and starts its successor, which has the same data folder."""
        await self.stop(name)
        await self.start(name, *self._members[name].command)

    async def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self._members[name].process.process
        process.send_signal(signal.SIGKILL)
        await process.wait()

    def identity(self, name: str) -> str:
        """What leases call the only process of this data folder."""
        return f"{(self._folder / name / 'data' / 'instance').read_text()}/0"

    def __getitem__(self, name: str) -> Running:
        return self._members[name].process

    def cpu(self) -> float:
        """Processor seconds of all of them so far."""
        return sum(self.cpu_of(name) for name in self._members)

    def cpu_of(self, name: str) -> float:
        member = self._members[name]
        return member.used + member.process.cpu()

    async def __aenter__(self) -> Fleet:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with AsyncExitStack() as all_of_them:
            for member in self._members.values():
                all_of_them.push_async_callback(member.ending.aclose)
