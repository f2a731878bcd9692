"""A code that is entered in several processes at once, while somebody else changes the person that it links to."""

from __future__ import annotations

import asyncio
import sys
import time

from core.people.community import Community
from core.people.linking import Issued
from core.settings import Settings
from core.storage.client import Store

PROCESSES, EACH = 3, 12
PROGRAM = """
import asyncio, sys, time
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store

async def main(url, name, at, *codes):
    community = Community.of(Settings(), Store(url))
    await community.people.of(name)
    await asyncio.sleep(max(0.0, float(at) - time.time()))
    outcomes = []
    for number, code in enumerate(codes):
        account = f"discord:{name}-{number}"
        change = lambda person: person.model_copy(update={"blocked": name})
        linked, _ = await asyncio.gather(
            community.linking.redeem(account, code, account), community.people.change(account, change)
        )
        outcomes.append(linked.outcome)
    await community.budgets.close()
    await community.store.close()
    print(*outcomes)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_each_code_links_one_account_and_no_block_is_lost_on_the_way(valkey_url: str, store: Store) -> None:
    community = Community.of(Settings(), store)
    codes = [await community.linking.issue(Issued(f"telegram:{number}", "Ada", "")) for number in range(EACH)]
    begins = str(time.time() + 1.5)

    async def run(name: str) -> list[str]:
        arguments = ("-c", PROGRAM, valkey_url, name, begins, *codes)
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0
        return said.decode().split()

    names = [f"process{number}" for number in range(PROCESSES)]
    every = await asyncio.gather(*map(run, names))
    for number in range(EACH):
        outcomes = [said[number] for said in every]
        assert sorted(outcomes) == ["done"] + ["wrong"] * (PROCESSES - 1)
        winner = names[outcomes.index("done")]
        person = (await community.people.fresh(f"telegram:{number}")).value
        assert person.known_accounts == (f"telegram:{number}", f"discord:{winner}-{number}")
        assert person.blocked == winner, "a change that came at the same moment is theirs, too"
        for name in names:
            alone = (await community.people.fresh(f"discord:{name}-{number}")).value
            assert alone.blocked == name
            assert (len(alone.known_accounts) == 2) is (name == winner)
