"""Pictures drawn from words, by a model of the kind ``image``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from core.errors import ModelError, ModelFault
from core.models.calls import ask
from core.models.catalog import Catalog, Model
from core.models.provenance import labelled
from core.models.router import Router
from core.models.wire import Drawing, ImageRequest, Wire
from core.parts import Media, Usage

MAX_PROMPT = 4000
"""Characters; OpenAI's endpoint takes 32,000, others far fewer."""
MAX_COUNT = 4
"""Pictures drawn at once."""
PAINTED_AT_ONCE = 16
"""Calls under way in one process: each may take some 100 MB for a moment."""
CALL_SECONDS = 240.0
"""The longest that one call may take: OpenAI speaks of two minutes for a difficult picture."""
SUFFIXES = {"image/png": "png", "image/jpeg": "jpg"}


@dataclass(frozen=True, slots=True)
class Painted:
    """Pictures that say where they come from, and what drawing them took."""

    pictures: tuple[Media, ...]
    usage: Usage


class Painter:
    """Draws pictures."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self._catalog = catalog
        self._router = router
        self._places = asyncio.Semaphore(PAINTED_AT_ONCE)

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self._catalog.has("image")

    async def paint(self, request: ImageRequest, *, space: str) -> Painted:
        """``space`` is in whose name it stands in line.

        Raises ModelError, with the fault FILTERED where a provider does not draw such things; Busy.
        """

        async def work(wire: Wire, model: Model) -> tuple[Drawing, list[Media]]:
            drawing = await wire.draw(model, request)
            try:
                made = [await asyncio.to_thread(labelled, data, model.name) for data in drawing.pictures]
            except ValueError as error:
                raise ModelError(ModelFault.MALFORMED, str(error), retryable=True) from None
            return drawing, [Media(f"picture.{SUFFIXES[mime]}", mime, data) for data, mime in made]

        async with self._places:
            model, (drawing, pictures) = await ask(
                self._catalog, self._router, "image", space, work, seconds=CALL_SECONDS
            )
        return Painted(tuple(pictures), _usage(model, drawing))


def _usage(model: Model, drawing: Drawing) -> Usage:
    prompt, answer = drawing.prompt_tokens or 0, drawing.answer_tokens or 0
    cost = model.cost(prompt, answer) + model.price_image * len(drawing.pictures)
    return Usage(model.name, prompt, answer, cost, 1)
