"""Films, by a model of the kind ``video``: the provider's own job is begun once, gone on with, and paid once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, cast

import structlog

from core.errors import ModelError, ModelFault
from core.models.budget import Amounts
from core.models.calls import ask
from core.models.catalog import Catalog
from core.models.model import Model
from core.models.once import Once
from core.models.paying import NOBODY, Bill, Payer
from core.models.router import Router
from core.models.wire import Film, FilmJob, FilmRequest, Step, Wire
from core.parts import Notice, Usage

log = structlog.get_logger()

FILM_SECONDS = 1500.0
"""The longest that making one may take; hosted models need some minutes."""
NOT_MADE = frozenset((ModelFault.FILTERED, ModelFault.REFUSED, ModelFault.GONE, ModelFault.SERVER))
"""What a server says that makes nothing of it."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a provider has begun to make, as it is remembered."""

    model: str
    job: str
    is_paid: bool = False
    """It was counted already."""

    def to_text(self) -> str:
        return json.dumps([self.model, self.job, self.is_paid])

    @classmethod
    def of(cls, text: str) -> Begun | None:
        """The inverse; None for what is none."""
        try:
            model, job, is_paid = cast("list[Any]", json.loads(text))
        except (ValueError, TypeError):
            return None
        sound = isinstance(model, str) and isinstance(job, str) and isinstance(is_paid, bool)
        return cls(model, job, is_paid) if sound else None


@dataclass(frozen=True, slots=True)
class Filmed:
    """A film, and what it took."""

    data: bytes
    usage: Usage
    provider: str
    notices: tuple[Notice, ...] = ()
    """What is to be said of a budget."""


@dataclass(frozen=True, slots=True)
class Overseer:
    """Who has a film made."""

    begun: Begun | None
    """What an earlier try began, to be gone on with."""
    remember: Callable[[Begun], Awaitable[None]]
    """Keeps what was begun for a later try."""
    tell: Callable[[float], None]
    """Learns how far it is, 0 to 1."""
    is_unwanted: Callable[[], bool]
    """Whether nobody wants it any more."""


class Filmer:
    """Has films made."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self._catalog = catalog
        self._router = router

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self._catalog.has("video")

    def model_for(self, seconds: int, shape: str) -> tuple[Model, int] | None:
        """The first model that makes one of that shape, and so long or a little longer; with how long it gets."""
        for model in self._catalog.of_kind("video"):
            longer = [length for length in model.film_seconds if length >= seconds]
            if longer and model.size(shape) != shape:
                return model, longer[0]
        return None

    @property
    def lengths(self) -> tuple[int, ...]:
        """Seconds that films may have."""
        return tuple(sorted({length for model in self._catalog.of_kind("video") for length in model.film_seconds}))

    async def film(
        self, request: FilmRequest, model: Model, overseer: Overseer, *, space: str, payer: Payer = NOBODY
    ) -> Filmed:
        """One film; ``request.once`` names it (:class:`core.models.once.Once`). Raises ModelError, Busy, OverBudget,
        StorageError."""
        work = _Work(request, model, overseer, overseer.begun, Once(request.once))
        filmed, notices = await ask(
            self._catalog,
            self._router,
            "video",
            space,
            work,
            most=lambda _: work.price,
            payer=payer,
            seconds=FILM_SECONDS,
            models=[model],
        )
        if work.known is not None:
            # Should it have to be fetched once more, it is counted already.
            await overseer.remember(work.known)
        return replace(filmed, notices=notices)


@dataclass(slots=True)
class _Work:
    """The call for one film, which may be tried again."""

    request: FilmRequest
    model: Model
    overseer: Overseer
    known: Begun | None
    """What the provider has begun."""
    once: Once

    @property
    def price(self) -> Amounts:
        """What is owed for it still."""
        if self.known is not None and self.known.is_paid:
            return Amounts()
        return Amounts(self.model.cost_of_sound(self.request.seconds), seconds=self.request.seconds)

    async def __call__(self, wire: Wire, named: Model, bill: Bill) -> Filmed:
        owed = self.price
        usage = Usage(self.model.name, 0, 0, owed.money, 1 if owed else 0)

        async def owe(job: str) -> None:
            """Whoever begins it owes it, whatever becomes of it."""
            bill.took, bill.usage = owed, usage
            await self.overseer.remember(Begun(self.model.name, job, is_paid=not owed))
            self.known = Begun(self.model.name, job, is_paid=True)

        try:
            if self.known is not None:
                await owe(self.known.job)
            return Filmed(await self._made(wire, named, owe), usage, self.model.provider)
        except ModelError as error:
            if error.fault in NOT_MADE and not error.retryable:
                # Nothing is paid for what failed, and nothing is left to be gone on with.
                bill.took, bill.usage, self.known = Amounts(), Usage(self.model.name), None
            raise
        except BaseException:
            if self.known is not None:
                await self._left(wire, self.known)
            raise

    async def _made(self, wire: Wire, named: Model, owe: Callable[[str], Awaitable[None]]) -> bytes:
        with self.once.call(named.name) as name:
            asked = replace(self.request, job=self.known.job if self.known is not None else "", once=name)
            async with aclosing(wire.film(named, asked)) as events:
                async for event in events:
                    match event:
                        case FilmJob(id):
                            await owe(id)
                        case Step(done):
                            self.overseer.tell(done)
                        case Film(data):
                            return data
        raise ModelError(ModelFault.MALFORMED, "no film")

    async def _left(self, wire: Wire, begun: Begun) -> None:
        """Before its end: taken back where nobody wants it, else whoever goes on with it does not pay it again."""
        if not self.overseer.is_unwanted():
            await self.overseer.remember(begun)
            return
        try:
            await wire.forget_film(begun.job)
        except ModelError as error:
            log.info("a film goes on being made that nobody wants", job=begun.job, cause=str(error))
