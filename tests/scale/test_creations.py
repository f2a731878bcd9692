"""A film is made in a process of its own, while those that receive and answer come and go."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.end_to_end.running import until
from tests.end_to_end.test_creations import MODELS
from tests.scale.fleet import Fleet, fleet


def films(town: Fleet) -> list[str]:
    """Addresses of all that the bot has shown."""
    world = town.discord.world
    shown = [file["url"] for posted in town.discord.by_bot(world.general) for file in posted.data["attachments"]]
    return [address for address in shown if ".mp4" in address]


def told(town: Fleet, text: str) -> list[str]:
    shown = town.discord.by_bot(town.discord.world.general)
    return [posted.id for posted in shown if text in posted.text]


async def test_a_film_outlives_the_workers_and_its_own_process(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text(MODELS)
    async with fleet(tmp_path) as town:
        videos = town.models.videos
        videos.waiting = asyncio.Event()
        off = {"TELEGRAM_TOKEN": ""}
        await asyncio.gather(
            town.start("receiver", "receive", "discord", **off),
            town.start("worker", "work", PARLEY__JOBS__QUEUES="text", **off),
            town.start("camera", "work", "--queue", "video", **off),
        )
        await until(lambda: bool(town.discord.world.commands), "commands")
        town.discord.slash("video", {"prompt": "a paper boat"}, town.discord.world.general)
        await until(lambda: bool(told(town, "still being made")), "the word that it comes later")
        await town.processes["worker"].stop(signal.SIGKILL)
        await town.processes["camera"].stop(signal.SIGKILL)
        await asyncio.gather(
            town.start("second worker", "work", PARLEY__JOBS__QUEUES="text", **off),
            town.start("second camera", "work", "--queue", "video", **off),
        )
        videos.waiting.set()
        await until(lambda: bool(films(town)), "the film")
        await asyncio.sleep(0.7)
        assert len(films(town)) == 1
        assert len(told(town, "still being made")) == 1
        assert len(videos.asked) == 1, "the provider's job is gone on with"
        (film,) = [p for p in town.discord.by_bot(town.discord.world.general) if p.data["attachments"]]
        notice = told(town, "still being made")[0]
        replied = [p.data.get("message_reference") for p in town.discord.by_bot(town.discord.world.general)]
        assert any(reference and reference["message_id"] == notice for reference in replied), film.data
