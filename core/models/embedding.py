"""Texts as vectors whose nearness tells what they have in common, by a model of the kind ``embedding``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.errors import ModelError, ModelFault
from core.models import costs
from core.models.budget import Amounts
from core.models.calls import ask
from core.models.catalog import Catalog
from core.models.model import NEAR, Model
from core.models.paying import NOBODY, Bill, Payer
from core.models.router import Router
from core.models.wire import Embedding, Wire
from core.parts import Usage

AT_ONCE = 64
"""Texts in one call: a server of one's own takes 50 ms for a passage on a plain processor."""
QUERY_SECONDS = 10.0
"""For a question somebody waits: then it is looked up by its words alone."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors and what they took."""

    vectors: tuple[bytes, ...]
    """Little-endian float32."""
    usage: Usage = field(default_factory=Usage)


class Embedder:
    """Makes vectors. Those of different models have nothing in common, so no other model is asked in place of one."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self._catalog = catalog
        self._router = router

    @property
    def model(self) -> str:
        """Name of the model that is used for what is new; empty where there is none."""
        return next((model.name for model in self._catalog.of_kind("embedding")), "")

    def has(self, model: str) -> bool:
        """Whether the model of that name can be asked now."""
        return any(row.name == model for row in self._catalog.of_kind("embedding"))

    def near(self, model: str) -> float:
        """``Model.near`` of the model of that name."""
        return next((row.near for row in self._catalog.of_kind("embedding") if row.name == model), NEAR)

    async def passages(self, texts: Sequence[str], model: str, *, space: str = "", payer: Payer = NOBODY) -> Embedded:
        """Of what is to be found. Raises ModelError, Busy, OverBudget, StorageError."""
        return await self._embed(texts, model, False, None, space, payer)

    async def query(self, text: str, model: str, *, space: str = "", payer: Payer = NOBODY) -> Embedded:
        """Of what somebody looks for. Raises ModelError, Busy, OverBudget, StorageError."""
        return await self._embed([text], model, True, QUERY_SECONDS, space, payer)

    async def _embed(
        self, texts: Sequence[str], name: str, is_query: bool, seconds: float | None, space: str, payer: Payer
    ) -> Embedded:
        models = [row for row in self._catalog.of_kind("embedding") if row.name == name]
        if not models:
            raise ModelError(ModelFault.UNREACHABLE, f"the embedding model {name} is not there")
        estimate = sum(len(text.encode()) // 4 + 8 for text in texts)

        async def work(wire: Wire, model: Model, bill: Bill) -> Embedded:
            found: Embedding = await wire.embed(model, texts, is_query=is_query)
            tokens = costs.told(found.tokens)
            tokens = estimate if tokens is None else tokens
            cost = model.cost(tokens, 0)
            bill.took, bill.usage = Amounts(cost), Usage(model.name, tokens, 0, cost, 1)
            return Embedded(found.vectors, bill.usage)

        embedded, _ = await ask(
            self._catalog,
            self._router,
            "embedding",
            space,
            work,
            most=lambda model: Amounts(model.cost(estimate * costs.SAFETY, 0)),
            payer=payer,
            seconds=seconds,
            models=models,
        )
        return embedded
