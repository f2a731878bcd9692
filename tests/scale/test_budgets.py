"""Several processes spend one budget at once: never a unit more, and nothing is lost with a process that dies."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process

from core.models.budget import Span
from core.people.budgets import Budgets
from core.people.identity import People
from core.people.spaces import Spaces
from core.settings import BudgetSettings
from core.storage.client import Store
from tests.scale.spender import HELD_SECONDS

PROCESSES, CALLS = 4, 125
LIMIT = 1000
"""Of 500 calls that want 5,000 in all."""


async def spender(url: str, calls: int, *hold: str) -> Process:
    arguments = (sys.executable, "-m", "tests.scale.spender", url, str(LIMIT), str(calls), *hold)
    return await asyncio.create_subprocess_exec(*arguments, stdin=PIPE, stdout=PIPE)


async def spent_by(process: Process) -> int:
    output, _ = await process.communicate(b"go\n")
    return json.loads(output.splitlines()[-1])


async def test_500_calls_of_several_processes_use_a_budget_up_and_no_more(valkey_url: str, store: Store) -> None:
    # One of them dies while it holds all that there is.
    dying = await spender(valkey_url, LIMIT // 7, "hold")
    assert dying.stdout is not None
    assert (await asyncio.wait_for(dying.stdout.readline(), 20)).startswith(b"held")
    dying.kill()
    await dying.wait()
    await asyncio.sleep(HELD_SECONDS)
    processes = await asyncio.gather(*(spender(valkey_url, CALLS) for _ in range(PROCESSES)))
    for process in processes:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
    async with asyncio.timeout(60):
        sums = await asyncio.gather(*map(spent_by, processes))
    budgets = Budgets(store, BudgetSettings(), People(store), Spaces(store))
    assert sum(sums) == (await budgets.used("all"))[Span.DAY].money == LIMIT
    assert all(sums)
    assert await store.redis.hlen("parley:{budget}:held") == await store.redis.zcard("parley:{budget}:ends") == 0
