"""The maker of films: from words, and from a picture that they begin with."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from core.creations.order import Commission, Maker
from core.errors import ModelError, ModelFault
from core.labels.labels import Labels
from core.message import Platform
from core.models.films import Begun, Filmed, Filmer, Overseer
from core.models.model import Model
from core.models.own_wires import OwnKeyError
from core.models.paying import OverBudget
from core.models.pool import Busy
from core.models.vision import ImageError, prepare_source
from core.models.wire import FilmRequest
from core.parts import Activity, Ending, Finished, Making, Media, Notice, Part, Progress
from core.safety.safety import Safety
from core.tasks import end
from core.texts import Amount, one_line

log = structlog.get_logger()

KIND = "film"
MAX_PROMPT = 2000
"""Characters."""
MAX_SECONDS = 600
SHAPES = ("wide", "tall")
MAKER_SECONDS = 1800.0
FOLLOW_SECONDS = 20.0
"""A film takes minutes: nobody waits for it."""
MOST_SIDE = 1920
"""Pixels of a picture that a film begins with."""
LONGEST_SHOWN = 300
"""Characters of a prompt that are shown with its film."""
ROOM: Mapping[Platform, int] = {Platform.DISCORD: 10_000_000, Platform.TELEGRAM: 50_000_000}
"""Bytes of a file that a bot may send; the web takes what is kept."""
TELL_SECONDS = 0.5
DONE = Finished(Ending.COMPLETE)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a film is to show."""

    prompt: str
    seconds: int
    shape: str = "wide"

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Scene:
        """The inverse. Raises ValueError for what is none, or one of a newer version."""
        prompt, seconds, shape = (request.get(name) for name in cls.__slots__)
        if set(request) - set(cls.__slots__) or not isinstance(prompt, str) or type(seconds) is not int:
            raise ValueError("no film to be made")
        if not 0 < len(prompt) <= MAX_PROMPT or not 0 < seconds <= MAX_SECONDS or shape not in SHAPES:
            raise ValueError("a film with a value that there is not")
        return cls(prompt, seconds, str(shape))


class Films:
    """Makes films."""

    def __init__(self, filmer: Filmer, labels: Labels, safety: Safety) -> None:
        self.filmer = filmer
        self._labels = labels
        self._safety = safety

    @property
    def maker(self) -> Maker:
        """For the list of all makers."""
        return Maker(KIND, "video", self.make, MAKER_SECONDS, FOLLOW_SECONDS)

    async def make(self, commission: Commission) -> AsyncGenerator[Part]:
        """As :data:`core.creations.order.Make`."""
        yield Making(Activity.VIDEO)
        try:
            scene = Scene.of(commission.order.request)
        except ValueError as error:
            log.error("an order for a film cannot be read", order=commission.order.id, cause=str(error))
            yield Notice("not_filmed")
            yield DONE
            return
        found = self.filmer.model_for(scene.seconds, scene.shape)
        if found is None:
            yield Notice("no_films")
            yield DONE
            return
        model, seconds = found
        if refusal := await self._safety.prompt(commission, scene.prompt, commission.inputs):
            yield refusal
            yield DONE
            return
        try:
            first = await _fitted(commission.inputs[0], model.size(scene.shape)) if commission.inputs else b""
        except ImageError as error:
            yield Notice(error.key, error.values)
            yield DONE
            return
        request = FilmRequest(scene.prompt, seconds, model.size(scene.shape), first, once=commission.order.piece())
        async for part in self._filmed(commission, scene, request, model):
            yield part

    async def _filmed(
        self, commission: Commission, scene: Scene, request: FilmRequest, model: Model
    ) -> AsyncGenerator[Part]:
        done = 0.0

        def tell(value: float) -> None:
            nonlocal done
            done = value

        async def remember(begun: Begun) -> None:
            await commission.remember(begun.to_text())

        begun = Begun.of(commission.remembered) if commission.remembered else None
        if begun is not None and begun.model != model.name:
            begun = None
        overseer = Overseer(begun, remember, tell, commission.unwanted.is_set)
        order = commission.order
        filming = asyncio.create_task(
            self.filmer.film(request, model, overseer, space=order.share, payer=commission.payer)
        )
        told = {"prompt": one_line(scene.prompt, LONGEST_SHOWN)}
        try:
            while not filming.done():
                yield Progress("filming", told, done)
                await asyncio.wait([filming], timeout=TELL_SECONDS)
            filmed = filming.result()
        except (Busy, OverBudget, OwnKeyError) as error:
            yield error.notice()
            yield DONE
        except ModelError as error:
            log.warning("no film made", order=order.id, cause=str(error))
            yield Notice("film_refused" if error.fault is ModelFault.FILTERED else "not_filmed")
            yield DONE
        else:
            async for part in self._shown(commission, scene, filmed):
                yield part
        finally:
            await end([filming])

    async def _shown(self, commission: Commission, scene: Scene, filmed: Filmed) -> AsyncGenerator[Part]:
        order = commission.order
        room = ROOM.get(order.conversation.platform, 0)
        try:
            if filmed.data[4:8] != b"ftyp":
                raise ValueError("no film in the MP4 form")
            is_edit = bool(commission.inputs)
            origin = self._labels.origin(filmed.usage.model, filmed.provider, order.label, is_edit=is_edit)
            film = await self._labels.put(
                Media("film.mp4", "video/mp4", filmed.data, scene.prompt), origin, order.space
            )
        except ValueError as error:
            log.warning("a broken film", order=order.id, cause=str(error))
            yield Notice("not_filmed")
        else:
            if room and len(film.data) > room:
                sizes = {"size": Amount.of_bytes(len(film.data)), "allowed": Amount.of_bytes(room)}
                yield Notice("film_too_large", sizes)
            else:
                said = {"prompt": one_line(scene.prompt, LONGEST_SHOWN), "model": filmed.usage.model}
                yield Notice("filmed", said)
                yield film
        for notice in filmed.notices:
            yield notice
        yield Finished(Ending.COMPLETE, filmed.usage)


async def _fitted(picture: bytes, size: str) -> bytes:
    """A picture of exactly that size, as providers want it: cut where its shape is another. Raises ImageError."""
    source = await prepare_source(picture, b"", MOST_SIDE)
    width, _, height = size.partition("x")
    return await asyncio.to_thread(_cut, source.data, (int(width), int(height)))


def _cut(data: bytes, size: tuple[int, int]) -> bytes:
    from PIL import Image, ImageOps

    output = io.BytesIO()
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        ImageOps.fit(image.convert("RGB"), size).save(output, "PNG")
    return output.getvalue()
