"""A limit holds exactly over several processes that ask at the same time."""

from __future__ import annotations

import asyncio
import sys

from core.storage.client import Store

ASKS = """
import asyncio, sys
from core.conversation.turn import Turn
from core.people.identity import Person
from core.people.limits import Limits
from core.settings import ChatSettings
from core.storage.client import Store
from tests.builders import message

async def main(url, first):
    store = Store(url)
    limits = Limits(store, ChatSettings(person_limit="50/minute"))
    asked = message()
    turns = [
        Turn(asked.conversation, str(number), "1", asked, person=Person(id="telegram:7"))
        for number in range(first, first + 60)
    ]
    sys.stdin.readline()
    over = await asyncio.gather(*(limits.count(turn) for turn in turns))
    print(sum(one is None for one in over))
    await store.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_no_question_too_many_over_processes(store: Store, valkey_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ASKS, valkey_url, str(first)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for first in (0, 1000, 2000)
    ]
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert sum(int(out) for out, _ in outputs) == 50
