"""Pictures that people show are looked at where the space wants it, and moderators are told what is found."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import Image

from core.errors import OutboundError, OutboundFault
from core.message import Attachment, AttachmentKind, Author, ConversationKey, Platform, Sighting
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.moderation.acts import AUTOMOD, Act, ActKind
from core.moderation.pictures import JOB, LARGEST, MOST_PICTURES, PictureBench, PictureDocket
from core.people.spaces import Spaces
from core.safety.safety import Safety
from core.safety.settings import SafetySettings
from core.storage.client import Store
from core.storage.judging import Briefs
from tests.platforms.openai_server import OpenAIServer

HERE = ConversationKey(Platform.TELEGRAM, "1", "-100")
SPACE = "telegram:1:-100"
EYES = Model("judge", "p", "judge", kind="moderation", accepts_images=True)


def png() -> bytes:
    made = BytesIO()
    Image.new("RGB", (3, 3), "red").save(made, "PNG")
    return made.getvalue()


def picture(name: str = "a.png", size: int = 100, kind: AttachmentKind = AttachmentKind.IMAGE) -> Attachment:
    return Attachment(kind, f"ref-{name}", name, "image/png", size)


def shown(*files: Attachment, **values: Any) -> Sighting:
    ann = Author("7", "Ann")
    return Sighting(HERE, "5", "u5", ann, "look", time.time(), "-100", attachments=files or (picture(),), **values)


@dataclass
class Gallery:
    docket: PictureDocket
    bench: PictureBench
    server: OpenAIServer
    jobs: list[str] = field(default_factory=list[str])
    acts: list[Act] = field(default_factory=list[Act])
    fetched: list[str] = field(default_factory=list[str])

    async def show(self, sighting: Sighting) -> list[Act]:
        """What follows."""
        before = len(self.acts)
        await self.docket.put([(SPACE, sighting)])
        for id in self.jobs:
            await self.bench.run(id)
        return self.acts[before:]


@asynccontextmanager
async def gallery(
    store: Store, *, is_on: bool = True, models: Sequence[Model] = (EYES,), data: bytes | None = None
) -> AsyncGenerator[Gallery]:
    async with OpenAIServer(models=("judge",)) as server:
        server.moderation.scores = {"": {"sexual": 0.97}}
        catalog = Catalog([Provider("p", server.url)], models)
        router, spaces, briefs = (
            Router(catalog, RoutingSettings(), Breaker(5, 1), OpenAIApi),
            Spaces(store),
            Briefs(store),
        )
        await spaces.change(SPACE, lambda now: now.model_copy(update={"check_pictures": is_on}))
        jobs, acts, fetched = list[str](), list[Act](), list[str]()

        async def enqueue(name: str, id: str, argument: str) -> None:
            assert (name, id) == (JOB, argument)
            jobs.append(id)

        async def order(ordered: Sequence[Act]) -> None:
            acts.extend(ordered)

        async def fetch(conversation: ConversationKey, file: Attachment, limit: int) -> bytes:
            fetched.append(file.ref)
            if data is None:
                raise OutboundError(OutboundFault.GONE, "gone")
            return data

        safety = Safety(SafetySettings(thresholds={"sexual": 0.9}), catalog, router, spaces)
        docket = PictureDocket(briefs, spaces, enqueue)
        try:
            yield Gallery(docket, PictureBench(briefs, spaces, safety, fetch, order), server, jobs, acts, fetched)
        finally:
            await router.aclose()


async def test_what_is_found_in_a_picture_is_shown_to_the_moderators(store: Store) -> None:
    async with gallery(store, data=png()) as here:
        [flag] = await here.show(shown())
        assert (flag.kind, flag.account, flag.actor.account, flag.strikes) == (ActKind.FLAG, "7", AUTOMOD, 0)
        assert "sexual" in flag.reason
        assert (flag.evidence.message_id, flag.evidence.files) == ("5", ("a.png",))
        [again] = await here.show(shown())
        assert again.id == flag.id
        here.server.moderation.scores = {"": {"sexual": 0.5}}
        assert await here.show(shown(edited=True)) == []


async def test_only_pictures_of_members_are_fetched_and_not_too_many(store: Store) -> None:
    async with gallery(store, data=png()) as here:
        await here.show(shown(is_staff=True))
        await here.show(shown(picture(size=LARGEST + 1), picture("b.pdf", kind=AttachmentKind.DOCUMENT)))
        assert (here.jobs, here.fetched) == ([], [])
        await here.show(shown(*(picture(f"{number}.png") for number in range(9))))
        assert len(here.fetched) == MOST_PICTURES
    async with gallery(store, data=png(), is_on=False) as here:
        await here.show(shown())
        assert here.jobs == []


async def test_what_cannot_be_looked_at_is_left(store: Store) -> None:
    async with gallery(store) as here:
        assert await here.show(shown()) == []
    async with gallery(store, data=b"no picture") as here:
        assert await here.show(shown()) == []
        assert here.server.moderation.inputs == []
    async with gallery(store, data=png(), models=()) as here:
        assert await here.show(shown()) == []
