"""A process that spends: started by ``test_budgets.py``.

    python -m tests.scale.spender URL LIMIT CALLS HOLD

Asks for that many calls at once, each 7 to 13 units of the budget of all, and prints what it was granted and what it
spent; a line on its input is the word to begin. With HOLD it prints a line once it holds its reservations, and waits to
be killed.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys

from core.models.budget import Amounts
from core.models.model import Model
from core.models.paying import OverBudget, Payer
from core.parts import Usage
from core.people.budgets import Budgets
from core.people.identity import People
from core.people.spaces import Spaces
from core.settings import BudgetSettings
from core.storage.client import Store

MODEL = Model("m", "p", "m")
HELD_SECONDS = 0.5


async def main(url: str, limit: int, calls: int, hold: bool) -> None:
    store = Store(url)
    settings = BudgetSettings.model_validate({"all": {"day_money": limit / 1_000_000}})
    budgets = Budgets(store, settings, People(store), Spaces(store))
    spent: list[int] = []

    async def call(number: int) -> None:
        payer, most = Payer(f"telegram:{number}"), random.randint(7, 13)
        while True:
            try:
                # The last units are used up, too: less is granted where there is less.
                granted = await budgets.reserve(
                    payer, MODEL, Amounts(most), Amounts(1), seconds=HELD_SECONDS if hold else 60
                )
            except OverBudget as over:
                if not over.is_passing:
                    return
                await asyncio.sleep(0.01)
                continue
            if hold:
                print("held", flush=True)
                await asyncio.sleep(600)
            await asyncio.sleep(random.uniform(0, 0.02))
            took = random.randint(1, granted.granted.money)
            await budgets.settle(granted, Amounts(took), Usage("m", 1, 1, took, 1))
            spent.append(took)

    if not hold:
        # All processes begin at once.
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(call(number) for number in range(calls)))
    await budgets.close()
    await store.close()
    print(json.dumps(sum(spent)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), len(sys.argv) > 4))
