"""Pictures made from words and pictures, by a model of the kind ``image``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from core.errors import ModelError, ModelFault
from core.models import costs
from core.models.budget import Amounts
from core.models.calls import ask
from core.models.catalog import Catalog
from core.models.chat import IMAGE_TOKENS, estimate_tokens
from core.models.model import LOCAL, Model
from core.models.once import Once
from core.models.paying import NOBODY, Bill, Payer
from core.models.router import Router
from core.models.settings import SIZES, PictureControl
from core.models.wire import Drawing, ImageRequest, Partial, Step, Wire
from core.parts import Notice, Usage
from core.texts import one_line

MAX_PROMPT = 4000
"""Characters; OpenAI's endpoint takes 32,000, others far fewer."""
MAX_COUNT = 4
"""Pictures made at once."""
MAX_SEED = 2**32 - 1
LEAST_SIDE, MOST_SIDE = 64, 2048
"""Pixels of a side that may be asked for."""
LONGEST_NAME = 60
PAINTED_AT_ONCE = 16
"""Calls under way in one process: each may take some 100 MB for a moment."""
CALL_SECONDS = 240.0
"""The longest that one call may take: OpenAI speaks of two minutes for a difficult picture."""
LOCAL_SECONDS = 1500.0
"""The same on a machine of one's own: two cores take some minutes for a small picture of a large model."""
_PIXELS = re.compile(r"(\d{2,4})\s*[x×*]\s*(\d{2,4})", re.IGNORECASE)

Tell = Callable[[Step | Partial], None]
"""Hears how far a picture is. Must not block."""
Seal = Callable[[bytes, Model], tuple[bytes, str]]
"""Looks at a picture that came from a model, in a thread, and answers it as it may leave, with its MIME type. Raises
ValueError for what is no picture."""


@dataclass(frozen=True, slots=True)
class Painted:
    """Pictures as files with their MIME types, and what making them took."""

    pictures: tuple[tuple[bytes, str], ...]
    usage: Usage
    notices: tuple[Notice, ...] = ()
    """What is to be said of a budget."""


class Painter:
    """Makes pictures."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self._catalog = catalog
        self._router = router
        self._places = asyncio.Semaphore(PAINTED_AT_ONCE)

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self._catalog.has("image")

    def choose(self, request: ImageRequest, wanted: str = "") -> tuple[Model, ...] | Notice:
        """The models to ask, as :func:`choose` finds them among all that draw now."""
        return choose(self._catalog.of_kind("image"), request, wanted)

    async def paint(
        self,
        request: ImageRequest,
        models: Sequence[Model],
        seal: Seal,
        *,
        space: str,
        payer: Payer = NOBODY,
        tell: Tell = lambda _: None,
    ) -> Painted:
        """``models`` are those of :meth:`choose`, ``space`` is in whose name it stands in line, ``payer`` who pays.
        ``request.once`` names the piece of work (:class:`core.models.once.Once`).

        Raises ModelError, with the fault FILTERED where a provider does not draw such things, UnsupportedPrompt where
        a small model cannot; Busy, OverBudget, StorageError.
        """

        once = Once(request.once)

        async def work(wire: Wire, model: Model, bill: Bill) -> tuple[Usage, list[tuple[bytes, str]]]:
            with once.call(model.name) as name:
                drawing = await _drawn(wire, model, replace(request, once=name), tell)
            usage = _usage(model, drawing)
            bill.took, bill.usage = Amounts(usage.cost, images=len(drawing.pictures)), usage
            try:
                return usage, [await asyncio.to_thread(seal, data, model) for data in drawing.pictures]
            except ValueError as error:
                raise ModelError(ModelFault.MALFORMED, str(error), retryable=True) from None

        prompt = estimate_tokens(request.prompt) + IMAGE_TOKENS * len(request.inputs)
        async with self._places:
            (usage, pictures), notices = await ask(
                self._catalog,
                self._router,
                "image",
                space,
                work,
                most=lambda model: costs.of_drawing(model, prompt, request.count),
                payer=payer,
                seconds=lambda model: LOCAL_SECONDS if model.provider == LOCAL else CALL_SECONDS,
                models=models,
            )
        return Painted(tuple(pictures), usage, notices)


def choose(models: Sequence[Model], request: ImageRequest, wanted: str = "") -> tuple[Model, ...] | Notice:
    """The models that can do all that is asked for, best first; else the sentence that says what cannot be done.

    ``wanted`` names one: no other is asked then.
    """
    if wanted:
        known = ", ".join(model.name for model in models)
        models = [model for model in models if model.name.casefold() == wanted.casefold()]
        if not models:
            return Notice("no_such_painter", {"name": one_line(wanted, LONGEST_NAME), "known": known})
    able = [model for model in models if model.can(request.op)]
    if not able:
        return Notice(f"cannot.{request.op}" if not wanted else f"model_cannot.{request.op}", {"model": wanted})
    fitting = tuple(model for model in able if not lacking(model, request))
    if fitting:
        return fitting
    return Notice(f"model_lacks.{lacking(able[0], request)}", {"model": able[0].name})


def lacking(model: Model, request: ImageRequest) -> PictureControl | None:
    """The first thing that is asked for and that the model does not take; None where it takes all."""
    is_own_size = request.size not in ("", *SIZES) and request.size not in dict(model.sizes).values()
    asked: tuple[tuple[PictureControl, bool], ...] = (
        ("negative", bool(request.negative)),
        ("seed", request.seed is not None),
        ("steps", request.steps is not None),
        ("strength", request.strength is not None),
        ("size", is_own_size),
        ("quality", bool(request.quality)),
        ("mask", bool(request.mask)),
    )
    return next((control for control, is_asked in asked if is_asked and control not in model.takes), None)


def size_of(text: str) -> str | None:
    """A shape, or pixels as ``WIDTHxHEIGHT``, of what somebody wrote; None for what is neither, or out of bounds."""
    text = text.strip().lower()
    if text in SIZES:
        return text
    found = _PIXELS.fullmatch(text)
    if found is None:
        return None
    width, height = int(found[1]), int(found[2])
    if not all(LEAST_SIDE <= side <= MOST_SIDE for side in (width, height)):
        return None
    return f"{width}x{height}"


async def _drawn(wire: Wire, model: Model, request: ImageRequest, tell: Tell) -> Drawing:
    drawing = None
    async with aclosing(wire.draw(model, request)) as events:
        async for event in events:
            if isinstance(event, Drawing):
                drawing = event
            else:
                tell(event)
    if drawing is None:
        raise ModelError(ModelFault.MALFORMED, "no drawing", retryable=True)
    return drawing


def _usage(model: Model, drawing: Drawing) -> Usage:
    prompt, answer = costs.told(drawing.prompt_tokens) or 0, costs.told(drawing.answer_tokens) or 0
    cost = model.cost(prompt, answer) + model.price_image * len(drawing.pictures)
    return Usage(model.name, prompt, answer, cost, 1)
