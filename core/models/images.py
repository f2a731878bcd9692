"""Pictures drawn from words, by a model of the kind ``image``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from core.errors import ModelError, ModelFault
from core.models import costs
from core.models.budget import Amounts
from core.models.calls import ask
from core.models.catalog import Catalog, Model
from core.models.chat import estimate_tokens
from core.models.paying import NOBODY, Bill, Payer
from core.models.provenance import labelled
from core.models.router import Router
from core.models.wire import Drawing, ImageRequest, Wire
from core.parts import Media, Notice, Usage

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
    notices: tuple[Notice, ...] = ()
    """What is to be said of a budget."""


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

    async def paint(self, request: ImageRequest, *, space: str, payer: Payer = NOBODY) -> Painted:
        """``space`` is in whose name it stands in line, ``payer`` who pays.

        Raises ModelError, with the fault FILTERED where a provider does not draw such things; Busy, OverBudget,
        StorageError.
        """

        async def work(wire: Wire, model: Model, bill: Bill) -> tuple[Usage, list[Media]]:
            drawing = await wire.draw(model, request)
            usage = _usage(model, drawing)
            bill.took, bill.usage = Amounts(usage.cost, images=len(drawing.pictures)), usage
            try:
                made = [await asyncio.to_thread(labelled, data, model.name) for data in drawing.pictures]
            except ValueError as error:
                raise ModelError(ModelFault.MALFORMED, str(error), retryable=True) from None
            return usage, [Media(f"picture.{SUFFIXES[mime]}", mime, data) for data, mime in made]

        async with self._places:
            (usage, pictures), notices = await ask(
                self._catalog,
                self._router,
                "image",
                space,
                work,
                most=lambda model: costs.of_drawing(model, estimate_tokens(request.prompt), request.count),
                payer=payer,
                seconds=CALL_SECONDS,
            )
        return Painted(tuple(pictures), usage, notices)


def _usage(model: Model, drawing: Drawing) -> Usage:
    prompt, answer = costs.told(drawing.prompt_tokens) or 0, costs.told(drawing.answer_tokens) or 0
    cost = model.cost(prompt, answer) + model.price_image * len(drawing.pictures)
    return Usage(model.name, prompt, answer, cost, 1)
