"""How people get on is counted by a whole Parley, once they know it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from core.people.spaces import Spaces
from core.storage import keys
from core.storage.client import Store
from core.storage.mood import DAY, MoodCells, Span
from tests.end_to_end.conftest import village
from tests.end_to_end.running import until

GROUP = -100500
SPACE = f"telegram:4242:{GROUP}"


async def test_members_are_told_and_then_counted(store: Store, valkey_url: str, tmp_path: Path) -> None:
    await Spaces(store).change(SPACE, lambda now: now.model_copy(update={"moderated": True, "mood": True}))
    async with village(store, valkey_url, tmp_path) as place:
        world, chat = place.telegram.world, place.telegram_chat(GROUP)
        world.text(GROUP, "good evening", user=5)
        await until(lambda: any("/privacy mood off" in text for text in chat.shown), "the words to the members")
        async with asyncio.timeout(20):
            while not await store.redis.exists(keys.mood(SPACE, "told")):
                await asyncio.sleep(0.02)
        for user in range(5, 11):
            world.text(GROUP, "great, thanks", user=user)
        # Messages are read in their order: the answer to the last comes after all were counted.
        world.text(GROUP, "/help", user=5)
        await until(lambda: len(chat.shown) > 1, "the last answer")
    today = int(time.time() // DAY * DAY)
    cells = await MoodCells(store).cells(SPACE, "", Span.DAY, [today - DAY, today])
    # The last one is the command.
    assert [(cell.people, cell.messages, cell.high) for cell in cells] == [(6, 7, 6)]
