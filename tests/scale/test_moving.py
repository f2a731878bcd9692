"""A group becomes a supergroup while processes die: all that was asked is answered there, once, with its past."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from core.storage.keys import moves
from tests.end_to_end.running import Parley, until
from tests.platforms import telegram_groups as groups
from tests.scale.fleet import fleet
from tests.scale.test_takeover import holder, nothing_left, start, whole

OLD, NEW = -4001, -100777


async def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    async with fleet(tmp_path) as town:
        await start(town, "telegram")
        chat, world = town.telegram_chat(OLD), town.telegram.world
        chat.say("one")
        await until(lambda: bool(whole(chat, "one")), "an answer in the group")
        for word in ("two", "three"):
            chat.say(word)
        first = await holder(town)
        await until(lambda: len(town.models.requests) == 2, "the model is asked")
        groups.move(world, OLD, NEW)
        world.text(NEW, "@parley_bot four", user=5)
        while not await town.store.redis.exists(moves()):
            await asyncio.sleep(0.002)
        await asyncio.gather(_kill(town.processes["receiver"]), _kill(first))
        town.models.tokens_per_second = 1000.0
        await town.start("receiver", "receive", "telegram")

        def answers(word: str) -> int:
            return sum(text.startswith(f"re {word} ") and text.endswith("END") for text in world.texts(NEW))

        await until(lambda: all(answers(word) for word in ("two", "three", "four")), "the answers in the supergroup")
        await nothing_left(town)
        assert [answers(word) for word in ("one", "two", "three", "four")] == [0, 1, 1, 1]
        assert not await town.store.redis.exists(moves())
        last = str(town.models.requests[-1].body["messages"])
        assert [word in last for word in ("re one", "re two", "re three", "four")] == [True] * 4


async def _kill(parley: Parley) -> None:
    await parley.stop(signal.SIGKILL)
