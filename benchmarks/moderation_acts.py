"""How safe acts are: 100 of them, while the processes that carry them out are killed at random moments.

    python -m benchmarks.moderation_acts [--acts 100] [--kills 10] [--seed 1]

The platform is a table beside the books, on the same server: it outlives the killed processes, and logs what changed
anything. Every act is to be there once, told once, and in the list of cases with what was before it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from core.message import ConversationKey, Platform
from core.moderation import carrying, timers
from core.moderation.acts import Act, ActKind, Actor, Answer, Outcome
from core.moderation.carrying import Acts
from core.moderation.cases import CaseState
from core.moderation.durations import Span
from core.moderation.enforcer import Asked, Known, Rows, Site
from core.moderation.members import Rank
from core.moderation.timers import Timers
from core.storage import deadlines
from core.storage.client import Store
from core.storage.deadlines import Deadlines
from core.storage.embedded import EmbeddedServer

KINDS = (ActKind.BAN, ActKind.MUTE, ActKind.KICK, ActKind.WARN, ActKind.QUARANTINE)
SPACES = 4
POINTS = ("planned", "told", "enforced")
"""Of ``core.faults``: at each of them one process kills itself."""
AT_ONCE = 2
"""Processes that carry out."""
SLOWEST = 0.03
"""Seconds that the platform takes at most."""
LEASE_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
PREFIX = "{town}:"
_DO = """
local changed = redis.call('SADD', KEYS[1], ARGV[1])
if changed == 1 then redis.call('RPUSH', KEYS[2], ARGV[1]) end
return changed
"""


@dataclass
class Town:
    """A platform that outlives whoever calls it. Implements ``Enforcer``."""

    store: Store
    abilities: Mapping[ActKind, Span]

    async def know(self, site: Site, account: str, actor: str) -> Known | None:
        return Known(account, f"member {account}", Rank.BELOW)

    async def lacking(self, act: Act) -> str:
        return ""

    async def lacking_all(self, site: Site) -> list[tuple[ActKind, str]]:
        return []

    async def blind(self, site: Site) -> str:
        return ""

    async def invites(self, site: Site) -> Sequence[str]:
        return ()

    async def before(self, act: Act) -> Mapping[str, str]:
        return {"was": str(await self.store.redis.sismember(f"{PREFIX}state", _name(act)))}

    async def carry_out(self, act: Act, seconds: int | None) -> Answer:
        await asyncio.sleep(random.uniform(0, SLOWEST))
        changed = await self._do("state", "log", _name(act))
        await asyncio.sleep(random.uniform(0, SLOWEST))
        return Answer(Outcome.DONE if changed else Outcome.NOTHING)

    async def recent(self, site: Site, account: str, count: int, seconds: int) -> Sequence[str] | None:
        return None

    async def link(self, site: Site, message_id: str) -> str:
        return ""

    async def tell(self, site: Site, account: str, markdown: str, key: str) -> bool:
        await asyncio.sleep(random.uniform(0, SLOWEST))
        await self._do("keys", "told", key)
        return True

    async def post(self, site: Site, channel: str, markdown: str, key: str, buttons: Rows = ()) -> bool:
        return True

    async def ask(self, site: Site, asked: Asked) -> str:
        return ""

    async def unask(self, site: Site, where: str) -> None:
        return

    async def _do(self, state: str, log: str, what: str) -> bool:
        return bool(await self.store.redis.eval(_DO, 2, f"{PREFIX}{state}", f"{PREFIX}{log}", what))


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a run."""

    acts: int
    kills: int
    seconds: float
    twice: int
    """Acts that the platform did more than once, or told more than once."""
    lost: int
    """Acts that the platform did not do."""
    again: int
    """Acts of which another process found that the platform had done them already."""
    unlisted: int
    """Acts that are not in the list of cases as done, or not with what was before them."""

    @property
    def is_good(self) -> bool:
        return not (self.twice or self.lost or self.unlisted)


def _name(act: Act) -> str:
    return f"{act.space}:{act.account}:{act.kind}"


def _acts(store: Store) -> Acts:
    town = Town(store, dict.fromkeys(ActKind, Span()))
    return Acts(store, {Platform.DISCORD: town}, keep_days=1, lease_seconds=LEASE_SECONDS)


async def work(url: str) -> None:
    """A process that carries out, from the word to begin until it is killed."""
    store = Store(url)
    acts = _acts(store)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    deadlines.CLAIM_SECONDS, carrying.HINT_SECONDS, timers.LOOK_SECONDS = LEASE_SECONDS, 0.1, 0.05
    await asyncio.gather(acts.run(), Timers(Deadlines(store), acts.handlers).run())


async def measure(url: str, *, acts: int, kills: int, seed: int) -> Figures:
    """Orders acts little by little, while the processes that carry them out are killed."""
    dice, store = random.Random(seed), Store(url)
    hands = _acts(store)
    workers = await asyncio.gather(*(_start(url, point) for point in (*POINTS, *[""] * (kills + AT_ONCE))))
    began = time.monotonic()
    wanted = [_act(number) for number in range(acts)]
    numbers: dict[str, list[int]] = {}

    async def order() -> None:
        carrying.HINT_SECONDS = 0.0
        for act in wanted:
            numbers.setdefault(act.place, []).extend(await hands.order([act]))
            await asyncio.sleep(dice.uniform(0, 4 * SLOWEST))

    try:
        ordering = asyncio.create_task(order())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(_go(worker).wait() for worker in workers[: len(POINTS)]))
        waiting = workers[len(POINTS) :]
        alive = [_go(waiting.pop()) for _ in range(AT_ONCE)]
        while waiting:
            await asyncio.sleep(dice.uniform(0.05, 0.8))
            dying = alive.pop(dice.randrange(len(alive)))
            dying.kill()
            await dying.wait()
            alive.append(_go(waiting.pop()))
        await ordering
        async with asyncio.timeout(PATIENCE_SECONDS):
            for place, kept in numbers.items():
                while any(case.state is CaseState.PLANNED for case in await hands.carried(place, kept, 1.0)):
                    pass
        return await _figures(store, hands, wanted, numbers, kills + len(POINTS), time.monotonic() - began)
    finally:
        for process in workers:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await store.close()


async def _start(url: str, point: str) -> Process:
    environment = {**os.environ, "PARLEY_FAULT": point, "PARLEY_FAULT_WHEN": __file__}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.moderation_acts", "--work", url, stdin=PIPE, stdout=PIPE, env=environment
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS)
    return process


def _go(process: Process) -> Process:
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    return process


def _act(number: int) -> Act:
    return Act(
        f"act-{number}",
        KINDS[number % len(KINDS)],
        ConversationKey(Platform.DISCORD, "1", "10"),
        str(100 + number % SPACES),
        Actor("2", "Mo"),
        str(1000 + number),
        f"member {number}",
        reason="spam",
        at=time.time(),
        where="Chess Club",
    )


async def _figures(
    store: Store, hands: Acts, wanted: Sequence[Act], numbers: Mapping[str, list[int]], kills: int, seconds: float
) -> Figures:
    done: Counter[str] = Counter(await store.redis.lrange(f"{PREFIX}log", 0, -1))
    told: Counter[str] = Counter(await store.redis.lrange(f"{PREFIX}told", 0, -1))
    listed = [case for place, kept in numbers.items() for case in await hands.cases.some(place, kept)]
    good = {
        case.act for case in listed if case.state is CaseState.DONE and case.before == {"was": "0"} and case.answers
    }
    return Figures(
        len(wanted),
        kills,
        seconds,
        sum(count > 1 for count in (*done.values(), *told.values())),
        sum(not done[_name(act)] for act in wanted),
        sum(case.answers[-1:] == (Answer(Outcome.NOTHING),) for case in listed),
        len({act.id for act in wanted} - good) + len(listed) - len({case.act for case in listed}),
    )


async def main(options: argparse.Namespace) -> int:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = await stack.enter_async_context(EmbeddedServer(folder / "valkey"))
        found = await measure(url, acts=options.acts, kills=options.kills, seed=options.seed)
    print(
        f"{found.acts} acts, {found.kills} processes killed, {found.seconds:.1f} s: {found.twice} done or told twice, "
        f"{found.lost} not done, {found.unlisted} not in the list of cases as they are; {found.again} found done by "
        "another process"
    )
    return 0 if found.is_good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acts", type=int, default=100)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.exit(asyncio.run(work(given.work) if given.work else main(given)))
