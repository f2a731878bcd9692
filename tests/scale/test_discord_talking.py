"""Channels' settings and threads on Discord where the receiver and the workers are different processes."""

from __future__ import annotations

import time
from pathlib import Path

from core.texts import say
from tests.end_to_end.running import until
from tests.scale.fleet import fleet

ALONE = {"TELEGRAM_TOKEN": ""}


async def test_what_a_worker_keeps_a_receiver_goes_by(tmp_path: Path) -> None:
    """Also one that starts later. The thread that the receiver named is opened by the worker."""
    async with fleet(tmp_path) as town:
        receiver = await town.start("receiver", "receive", "discord", **ALONE)
        await town.start("worker", "work", **ALONE)
        discord, world = town.discord, town.discord.world
        town.models.reply = "here"
        for name, value in (("threads", "on"), ("answers", "always")):
            discord.slash("settings", {"name": name, "value": value}, world.general)
        done = say("settings_set")
        await until(lambda: [p.text for p in discord.by_bot(world.general)] == [done, done], "both are set")
        asked: list[str] = []

        def is_answered() -> bool:
            # Discord opens fifty threads in five minutes: they are not all to be used up.
            if time.monotonic() > began + len(asked) / 2:
                asked.append(discord.say("which opening?", world.general).id)
            return any(id in world.channels and discord.by_bot(id) for id in asked)

        began = time.monotonic()
        await until(is_answered, "a question that mentions nobody is answered in its thread")
        await receiver.stop()
        await town.start("receiver again", "receive", "discord", **ALONE)
        question = discord.say("and for Black?", world.general)
        await until(lambda: question.id in world.channels and bool(discord.by_bot(question.id)), "the answer")
        assert discord.violations == []
