"""Presses on Discord where the receiver and the workers are different processes."""

from __future__ import annotations

from pathlib import Path

from core.texts import say
from tests.end_to_end.running import until
from tests.platforms.discord_components import walk
from tests.platforms.discord_world import Posted
from tests.scale.fleet import fleet

ALONE = {"TELEGRAM_TOKEN": ""}


def row(posted: Posted) -> list[str]:
    return [part["custom_id"] for part in walk(posted.data["components"]) if "custom_id" in part]


async def test_what_is_pressed_at_one_process_holds_at_another(tmp_path: Path) -> None:
    async with fleet(tmp_path) as town:
        await town.start("receiver", "receive", "discord", **ALONE)
        await town.start("worker", "work", **ALONE)
        world = town.discord.world
        room = world.add_channel(world.guild["id"], "presses")
        ann = world.add_user("ann")
        town.models.reply, town.models.tokens_per_second = "word " * 400, 40
        town.discord.say("a long one", room, mention=True, user=ann)
        await until(lambda: any(row(posted) == ["stop"] for posted in town.discord.by_bot(room)), "the button")
        (answer,) = town.discord.by_bot(room)
        pressed = town.discord.press(answer.id, "stop", user=ann)
        await until(lambda: say("stopped") in answer.text and "regenerate" in row(answer), "it is stopped")
        assert pressed.callback == {"type": 6}
        town.models.reply, town.models.tokens_per_second = "anew", 0
        again = town.discord.press(answer.id, "regenerate", user=ann)
        await until(lambda: answer.text == "anew", "the answer anew in its place")
        assert again.callback == {"type": 6}
        assert len(town.discord.by_bot(room)) == 1
        assert town.discord.violations == []
