"""Voice and pictures where one process receives from Discord and another answers."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.running import until
from tests.end_to_end.test_discord_media import MODELS, SOUND
from tests.platforms.discord_world import VOICE
from tests.scale.fleet import fleet


async def test_a_receiver_and_a_worker_apart(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text(MODELS)
    async with fleet(tmp_path) as town:
        discord, world = town.discord, town.discord.world
        town.models.audio.sound = SOUND
        room = world.direct(world.alice)
        await town.start("receiver", "receive", "discord", TELEGRAM_TOKEN="")
        # Expired by the time that a worker is there.
        discord.voice_message(SOUND, expired=True)
        await town.start("worker", "work", TELEGRAM_TOKEN="")
        await until(lambda: any("tallest mountain" in posted.text for posted in discord.by_bot(room)), "an answer")
        (answer,) = discord.by_bot(room)
        await until(lambda: bool(world.commands), "commands")
        discord.press(answer.id, "speak")
        await until(lambda: any(posted.data["flags"] & VOICE for posted in discord.by_bot(room)), "a voice message")
        discord.slash("imagine", {"prompt": "a fox"})
        await until(lambda: any("painter" in posted.text for posted in discord.by_bot(room)), "a picture")
        said = discord.say("a castle", room)
        discord.choose_in_menu("Draw this", said.id)
        await until(lambda: [body["prompt"] for body in town.models.images.asked][-1:] == ["a castle"], "its picture")
        assert discord.violations == []
