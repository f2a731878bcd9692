"""Changes of one space's settings by several processes at once: each with its entry, none lost, none over another."""

from __future__ import annotations

import asyncio
import sys

from core.people.changing import history
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store

PROCESSES, EACH = 4, 20
SPACE = "discord:1:2"
PROGRAM = """
import asyncio, sys
from core.people.changing import Actor, change_space
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.records import Conflict

async def main(url, name):
    community = Community.of(Settings(), Store(url))
    kept, refused = 0, 0
    for _ in range(int(sys.argv[3])):
        seen = await community.spaces.records.fresh("discord:1:2")
        await asyncio.sleep(0.001)
        days = (seen.value.keep_days or 0) + 1
        try:
            change = lambda space: space.model_copy(update={"keep_days": days})
            await change_space(community, "discord:1:2", Actor(name, name), change, seen=seen.version)
            kept += 1
        except Conflict:
            refused += 1
    await community.store.close()
    print(kept, refused)

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


async def test_of_several_processes_at_once_all_but_the_first_see_a_conflict(valkey_url: str, store: Store) -> None:
    async def run(name: str) -> tuple[int, int]:
        arguments = ("-c", PROGRAM, valkey_url, name, str(EACH))
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0
        kept, refused = said.split()
        return int(kept), int(refused)

    counts = await asyncio.gather(*(run(f"process:{number}") for number in range(PROCESSES)))
    kept, refused = (sum(count) for count in zip(*counts, strict=True))
    assert kept + refused == PROCESSES * EACH
    assert refused, "they ran one after the other"
    community = Community.of(Settings(), store)
    record = await community.spaces.records.fresh(SPACE)
    assert (record.version, record.value.keep_days) == (kept, kept)
    log = await history(community, SPACE)
    assert [(entry.version, entry.differences[0].after) for entry in log] == [(n, n) for n in range(kept, 0, -1)]
