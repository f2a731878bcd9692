"""A long text that is read aloud by a job that breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from core.conversation.mailbox import Posted
from core.conversation.turn import Turn
from core.creations import shelf
from core.creations.creations import Creations
from core.creations.order import Order
from core.creations.sound import SAY, Reading, Sounds
from core.labels.labels import Labels
from core.message import CommandCall
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.paying import NOBODY, Payer
from core.models.router import Router
from core.models.speech import MAX_CHARS, Speaker
from core.parts import Finished, Media, Part
from core.people.spaces import Spaces
from core.safety.safety import Safety
from core.settings import Settings
from core.storage.client import Store
from core.storage.scanning import scan
from core.tasks import end
from tests.builders import conversation, message
from tests.platforms.openai_faults import Fault
from tests.platforms.openai_server import OpenAIServer

VOICE = Model("voice", "p", "voice", kind="speech", voice="alloy", price_characters=15_000_000)
LONG = "".join(f"Sentence {number}. ".ljust(20) for number in range(MAX_CHARS // 20 * 2 + 10))
LAID = "parley:*:laid.*"


class Desk:
    """Orders of long texts, and the processes that say them."""

    def __init__(self, store: Store, server: OpenAIServer) -> None:
        self.store = store
        self.catalog = Catalog([Provider("p", server.url)], [VOICE])
        self.router = Router(self.catalog, Settings().routing, Breaker(5, 60), OpenAIApi)
        self.ordered = asyncio.Queue[str]()
        self.creations = self.process()

    def process(self) -> Creations:
        """Another one would be another process."""
        safety = Safety(Settings().safety, self.catalog, self.router, Spaces(self.store))
        labels = Labels(Settings().labels, Spaces(self.store))
        sounds = Sounds(Speaker(self.catalog, self.router), labels, safety)
        return Creations(sounds.makers, self.store, self.enqueue, self.post, self.payer_of)

    async def enqueue(self, name: str, id: str, argument: str) -> None:
        self.ordered.put_nowait(argument)

    async def post(self, calls: Sequence[CommandCall]) -> list[Posted]:
        return []

    async def payer_of(self, order: Order) -> Payer:
        return NOBODY

    async def order(self) -> list[Part]:
        turn = Turn(conversation(), "1", "1", message(id="5"), lease_ends=float("inf"))
        return [part async for part in self.creations.made(turn, SAY, Reading(LONG).to_json())]

    async def work(self, id: str) -> None:
        job = next(job for job in self.process().jobs if job.name == f"make {SAY}")
        assert job.run is not None
        await job.run(id)


async def read_aloud(store: Store, server: OpenAIServer) -> list[Part]:
    """What comes of it: its job is killed while the second of three pieces is spoken, and run again."""
    desk = Desk(store, server)
    server.audio.fail(Fault.SLOW, 0)
    server.audio.fail(Fault.STALL)
    async with asyncio.timeout(20):
        following = asyncio.create_task(desk.order())
        id = await desk.ordered.get()
        run = asyncio.create_task(desk.work(id))
        while len(server.audio.spoken) < 2:
            await asyncio.sleep(0.01)
        await end([run])
        await desk.work(id)
        parts = await following
    await desk.router.aclose()
    return parts


async def test_what_was_said_before_its_job_was_killed_is_not_said_and_paid_again(store: Store) -> None:
    async with OpenAIServer() as server:
        parts = await read_aloud(store, server)
        begins = [sound.fields["input"][:12].split()[1] for sound in server.audio.spoken]
        names = server.audio.names
    assert begins[1] == begins[2]
    # It is asked for under the same name, should the provider know what it has made already.
    assert [names.index(name) for name in names] == [0, 1, 1, 3]
    assert all(names)
    assert len(begins) == len(set(begins)) + 1 == 4
    assert len([part for part in parts if isinstance(part, Media)]) == 1
    assert isinstance(finished := parts[-1], Finished)
    # What the first run paid is counted there.
    assert (finished.usage.model, finished.usage.calls) == ("voice", 2)
    assert not await scan(store, LAID)


async def test_what_there_is_no_room_for_is_said_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MAX_LAID_BYTES", 10)
    async with OpenAIServer() as server:
        parts = await read_aloud(store, server)
        assert len(server.audio.spoken) == 5
    assert [part for part in parts if isinstance(part, Media)]
