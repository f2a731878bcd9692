"""What takes long comes later: killed between any two steps it comes once, and is made and paid once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.faults import Elsewhere
from core.storage.client import Store
from core.texts import say
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import DiscordChat, Town, town, until
from tests.platforms.telegram_world import Post

MODELS = """
[jobs]
follow_seconds = 0.6
idle_seconds = 1.0

[[models]]
name = "camera"
provider = "openai"
kind = "video"
price_minute = 6.0

[[models]]
name = "painter"
provider = "openai"
kind = "image"
"""
POINTS: tuple[Elsewhere, ...] = ("made", "handed")
"""Where the job and where the turn dies; tests/scale has the rest."""


def films(at: Town | Village) -> list[Post]:
    return [post for post in at.telegram.world.shown(77) if "video" in post.media]


@asynccontextmanager
async def cinema(folder: Path) -> AsyncGenerator[Town]:
    (folder / "parley.toml").write_text(MODELS)
    async with town(folder, DISCORD_TOKEN="") as place:
        place.models.videos.waiting = asyncio.Event()
        yield place


def told(at: Town | Village) -> list[str]:
    return [text for text in at.telegram.world.texts(77) if "still being made" in text]


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_step_of_a_film_loses_and_doubles_nothing(tmp_path: Path, point: str) -> None:
    now = tmp_path / "now"
    async with cinema(tmp_path) as place:
        now.touch()
        await place.parley.start(PARLEY_FAULT=point, PARLEY_FAULT_WHEN=str(now))
        place.telegram.world.text(77, "/video a paper boat")
        assert place.models.videos.waiting is not None
        if point == "made":
            await until(lambda: bool(told(place)), "the word that it comes later")
            place.models.videos.waiting.set()
        assert await place.parley.ended() == -signal.SIGKILL
        now.unlink()
        await place.parley.start()
        await until(lambda: bool(told(place)), "the word that it comes later")
        place.models.videos.waiting.set()
        await until(lambda: bool(films(place)), "the film")
        await asyncio.sleep(0.7)
        assert len(films(place)) == 1
        assert len(told(place)) == 1
        assert len(place.models.videos.asked) == 1


@pytest.fixture
async def house(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    (tmp_path / "parley.toml").write_text(MODELS)
    async with village(store, valkey_url, tmp_path) as running:
        running.models.videos.waiting = asyncio.Event()
        yield running


async def test_what_is_in_the_making_is_listed_and_stopped_by_its_button(house: Village) -> None:
    world = house.telegram.world
    world.text(77, "/video a paper boat")
    await until(lambda: bool(told(house)), "the word that it comes later")
    world.text(77, "And now?")
    await until(lambda: any("And now?" in text for text in world.texts(77)), "an answer meanwhile")
    world.text(77, "/creations")
    await until(lambda: any("paper boat" in text for text in world.texts(77)), "the list")
    buttons = [button for button in house.telegram_chat().buttons() if button.startswith("unmake ")]
    button, told_in = buttons[0], next(post.id for post in world.shown(77) if "still being made" in (post.text or ""))
    world.press(77, told_in, button)
    await until(lambda: any("made no further" in text for text in world.texts(77)), "the word that it is stopped")
    await until(lambda: house.models.videos.deleted == ["video_1"], "it is taken back at the provider")
    world.text(77, f"/{button}")
    await until(lambda: any("finished already" in text for text in world.texts(77)), "the word that it has ended")
    for wrong in ("/unmake 9999", "/unmake ../../x", "/unmake -1", "/made 1"):
        count = len(world.texts(77))
        world.text(77, wrong)
        await until(lambda count=count: len(world.texts(77)) > count, wrong)
    assert films(house) == []


@pytest.fixture
async def patient(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    (tmp_path / "parley.toml").write_text(MODELS)
    async with village(store, valkey_url, tmp_path, PARLEY__JOBS__FOLLOW_SECONDS="60") as running:
        yield running


async def test_what_is_being_made_shows_how_far_it_is_and_its_button_stops_it(patient: Village) -> None:
    """On Discord, where the answer to a command is a message of its own from the start."""
    house = patient
    discord, world = house.discord, house.discord.world
    house.models.images.waiting = asyncio.Event()
    await until(lambda: bool(world.commands), "commands")
    discord.slash("imagine", {"prompt": "a fox"}, world.general)
    shown = lambda: [posted for posted in discord.by_bot(world.general) if "a fox" in posted.text]  # noqa: E731
    await until(lambda: bool(shown()), "the word that it is drawn")
    chat = DiscordChat(house)
    chat.channel = world.general
    await until(lambda: "stop" in chat.buttons(), "a button to stop it")
    discord.press(shown()[0].id, "stop")
    await until(lambda: any(say("stopped") in text for text in chat.shown), "the word that it is stopped")
    assert discord.violations == []
