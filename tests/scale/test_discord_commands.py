"""Commands on Discord where receivers and workers are different processes, and some of them die."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.end_to_end.running import until
from tests.platforms.discord_plays import File
from tests.scale.fleet import fleet

ALONE = {"TELEGRAM_TOKEN": ""}


async def test_a_form_goes_on_at_another_receiver_and_a_menus_answer_at_another_worker(tmp_path: Path) -> None:
    async with fleet(tmp_path) as town:
        first = await town.start("receiver", "receive", "discord", **ALONE)
        await town.start("worker", "work", **ALONE)
        discord, world = town.discord, town.discord.world
        await until(lambda: bool(world.commands), "commands")
        asked = discord.slash("chat", {}, world.general)
        await until(lambda: bool(asked.callback), "a form")
        await first.stop(signal.SIGKILL)
        await town.start("other", "receive", "discord", **ALONE)
        await until(lambda: discord.gateway.count("identify") == 2, "the dead one's shard is taken over")
        made = discord.submit(asked, {"text": "what is it?", "file": [File("a.txt", "text/plain", b"a riddle")]})
        await until(lambda: bool(made.original) and "what is it?" in world.find(made.original).text, "an answer")
        assert "a riddle" in str(town.models.requests[-1].body)

        town.models.reply, town.models.tokens_per_second = "word " * 60, 30
        meant = discord.say("a message", world.general, user=world.add_user("bob"))
        menu = discord.choose_in_menu("Explain", meant.id, world.general)
        await until(lambda: bool(menu.original) and "word" in world.find(menu.original).text, "it has begun")
        await town.processes["worker"].stop(signal.SIGKILL)
        await town.start("another", "work", **ALONE)
        await until(lambda: world.find(menu.original).text.count("word") == 60, "all of it")
        assert world.find(menu.original).ephemeral
        assert menu.followups == []
        assert discord.violations == []
