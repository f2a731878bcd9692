"""The maker of films, over the wire to a server that makes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from core.creations.films import KIND, Films, Scene
from core.creations.order import Commission, Order
from core.labels.labelling import read
from core.labels.labels import Labels
from core.models.breaker import Breaker
from core.models.budget import Amounts
from core.models.catalog import Catalog
from core.models.films import Begun, Filmer
from core.models.model import Model
from core.models.openai_api import OpenAIApi
from core.models.paying import Payer, Reservation
from core.models.router import Router
from core.models.settings import ModelSettings, ProviderSettings
from core.parts import Activity, Finished, Making, Media, Notice, Part, Progress, Usage
from core.people.spaces import Spaces
from core.safety.safety import Safety
from core.settings import Settings
from core.storage.client import Store
from core.tasks import end
from tests.builders import conversation
from tests.platforms.openai_images import png
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.openai_videos import FORBIDDEN, mp4

PRICE = 400_000
"""Of four seconds, at six units a minute."""


@dataclass
class Till:
    """What was counted, in the order of the calls."""

    settled: list[int] = field(default_factory=list[int])

    async def reserve(
        self, payer: Payer, model: Model, most: Amounts, least: Amounts, *, seconds: float, sparing: bool = False
    ) -> Reservation:
        return Reservation(str(len(self.settled)), payer, model, most)

    async def settle(self, reservation: Reservation, took: Amounts, usage: Usage) -> tuple[Notice, ...]:
        self.settled.append(took.money)
        return ()

    async def give_back(self, reservation: Reservation) -> None:
        self.settled.append(0)


@dataclass
class Set:
    server: OpenAIServer
    films: Films
    till: Till
    remembered: list[str] = field(default_factory=list[str])
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)
    order: str = "o1"

    async def make(self, prompt: str = "a boat", *inputs: bytes, shape: str = "wide", chat: str = "100") -> list[Part]:
        async def remember(text: str) -> None:
            self.remembered.append(text)

        where = conversation(chat)
        order = Order(self.order, KIND, Scene(prompt, 3, shape).to_json(), where, "telegram:7")
        last = self.remembered[-1] if self.remembered else ""
        commission = Commission(order, inputs, remembered=last, remember=remember, unwanted=self.unwanted)
        return [part async for part in self.films.make(commission)]


@pytest.fixture
async def filming(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Set]:
    monkeypatch.setattr("core.models.openai_video.POLL_SECONDS", 0.01)
    monkeypatch.setattr("core.creations.films.TELL_SECONDS", 0.01)
    async with OpenAIServer() as server:
        row = ModelSettings(name="camera", provider="m", kind="video", price_minute=6.0)
        settings = Settings(providers=(ProviderSettings(name="m", base_url=server.url),), models=(row,))
        catalog, till = Catalog.of(settings), Till()
        router = Router(catalog, settings.routing, Breaker(5, 60), OpenAIApi, till)
        spaces = Spaces(store)
        safety = Safety(settings.safety, catalog, router, spaces)
        yield Set(server, Films(Filmer(catalog, router), Labels(settings.labels, spaces), safety), till)
        await router.aclose()


def media(parts: list[Part]) -> list[Media]:
    return [part for part in parts if isinstance(part, Media)]


def notices(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_a_film_comes_with_its_progress_its_label_and_its_price(filming: Set) -> None:
    parts = await filming.make()
    assert parts[0] == Making(Activity.VIDEO)
    assert any(isinstance(part, Progress) and part.done for part in parts)
    (film,) = media(parts)
    assert film.data.startswith(mp4())
    origin = read(film.data)
    assert origin is not None
    assert origin.model == "camera"
    assert notices(parts) == ["filmed"]
    assert isinstance(parts[-1], Finished)
    assert parts[-1].usage.cost == PRICE
    assert filming.till.settled == [PRICE]
    assert filming.server.videos.asked == [
        {"model": "camera", "prompt": "a boat", "seconds": "4", "size": "1280x720"}
    ], "three seconds are rounded up to what the model makes"


async def test_it_begins_with_a_picture_cut_to_its_size(filming: Set) -> None:
    assert media(await filming.make("a boat", png(side=50), shape="tall"))
    assert filming.server.videos.asked[0]["picture"] == (720, 1280)


async def test_a_run_that_broke_off_is_gone_on_with_and_paid_once(filming: Set) -> None:
    filming.server.videos.waiting = asyncio.Event()
    first = asyncio.create_task(filming.make())
    while not any(filming.server.videos.looks.values()):
        await asyncio.sleep(0.005)
    await end([first])
    filming.server.videos.waiting.set()
    assert media(await filming.make())
    assert len(filming.server.videos.asked) == 1
    assert filming.till.settled == [PRICE, 0]
    assert filming.server.videos.deleted == []


async def test_what_was_begun_in_the_instant_of_a_kill_is_not_begun_again(
    filming: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.models.openai_client.CONFLICT_SECONDS", (0.0,) * 3)
    videos = filming.server.videos
    # The first try fails: the second is another call, in the next process as well.
    videos.unheard, videos.broken_begins, videos.beginning = True, 1, 2
    first = asyncio.create_task(filming.make())
    while not videos.asked:
        await asyncio.sleep(0.005)
    await end([first])
    assert not filming.remembered
    assert media(await filming.make())
    assert len(videos.asked) == 1
    failed, begun = videos.names[:2]
    assert videos.names[2:] == [failed, failed, failed, begun]
    assert failed != begun
    # Another order is another film.
    filming.remembered.clear()
    filming.order = "o2"
    assert media(await filming.make())
    assert len(videos.asked) == 2


async def test_what_a_killed_process_began_is_counted_by_its_successor(filming: Set) -> None:
    filming.server.videos.waiting = asyncio.Event()
    first = asyncio.create_task(filming.make())
    while not any(filming.server.videos.looks.values()):
        await asyncio.sleep(0.005)
    killed = filming.remembered[:1]
    await end([first])
    filming.till.settled.clear()
    filming.remembered[:] = killed
    filming.server.videos.waiting.set()
    assert media(await filming.make())
    assert filming.till.settled == [PRICE]


async def test_a_film_that_was_paid_is_fetched_once_more_for_nothing(filming: Set) -> None:
    assert media(await filming.make())
    assert media(await filming.make())
    assert len(filming.server.videos.asked) == 1
    assert filming.till.settled == [PRICE, 0]


async def test_what_nobody_wants_is_taken_back_at_its_provider(filming: Set) -> None:
    filming.server.videos.waiting = asyncio.Event()
    making = asyncio.create_task(filming.make())
    while not any(filming.server.videos.looks.values()):
        await asyncio.sleep(0.005)
    filming.unwanted.set()
    await end([making])
    assert filming.server.videos.deleted == ["video_1"]
    assert filming.till.settled == [PRICE]


async def test_a_server_that_is_away_for_a_moment_costs_no_film(filming: Set) -> None:
    filming.server.videos.broken_looks = 3
    assert media(await filming.make())
    assert len(filming.server.videos.asked) == 1
    filming.server.videos.broken_looks = 7
    filming.remembered.clear()
    filming.order = "o2"
    assert media(await filming.make()), "tried again, it goes on with the same job"
    assert len(filming.server.videos.asked) == 2
    assert sum(filming.till.settled) == 2 * PRICE


@pytest.mark.parametrize(
    ("prompt", "failure", "said"),
    [
        (f"a {FORBIDDEN} boat", "", "film_refused"),
        ("a boat", "moderation_blocked", "film_refused"),
        ("a boat", "internal_error", "not_filmed"),
    ],
)
async def test_what_fails_is_told_and_not_paid(filming: Set, prompt: str, failure: str, said: str) -> None:
    filming.server.videos.failure = failure
    parts = await filming.make(prompt)
    assert (notices(parts), media(parts)) == ([said], [])
    assert sum(filming.till.settled) == 0


async def test_what_is_no_film_or_too_large_for_the_platform_is_told(
    filming: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    filming.server.videos.data = b"<html>"
    assert notices(await filming.make()) == ["not_filmed"]
    filming.server.videos.data = mp4(5000)
    filming.remembered.clear()
    monkeypatch.setattr("core.creations.films.ROOM", {conversation().platform: 4000})
    assert notices(await filming.make()) == ["film_too_large"]


async def test_what_it_is_begun_with_is_read_with_care(filming: Set) -> None:
    assert Begun.of(Begun("camera", "video_1", is_paid=True).to_text()) == Begun("camera", "video_1", is_paid=True)
    for text in ("", "{}", "[1]", '["camera", "../x", 1]', "null"):
        assert Begun.of(text) is None
    filming.remembered.append(Begun("another model", "video_9").to_text())
    assert media(await filming.make())
    assert len(filming.server.videos.asked) == 1
    assert notices(await filming.make("a broken picture", b"no picture"))[0] != "filmed"
