"""Texts as vectors by OpenAI's embeddings API."""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Sequence
from typing import Any, cast

from core.errors import ModelError, ModelFault
from core.models.model import Model
from core.models.openai_client import Client
from core.models.wire import Embedding

MAX_EMBEDDING_BYTES = 40_000_000
"""Longest answer read: 128 vectors of 4096 numbers, each written with 20 digits, have 10 MB."""
MOST_DIMENSIONS = 8192


class Embeddings:
    """The vectors of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def embed(self, model: Model, texts: Sequence[str], *, is_query: bool) -> Embedding:
        """As :meth:`core.models.wire.Wire.embed`."""
        prefix = model.query_prefix if is_query else model.passage_prefix
        body: dict[str, Any] = {
            "model": model.id,
            "input": [prefix + text for text in texts],
            # A fifth of what the digits take; servers that do not know it answer with digits.
            "encoding_format": "base64",
        }
        if model.dimensions:
            body["dimensions"] = model.dimensions
        if self._client.is_ours:
            body["input_type"] = "query" if is_query else "passage"
        with self._client.errors():
            answer: dict[str, Any] = json.loads(await self._client.whole("/embeddings", body, MAX_EMBEDDING_BYTES))
            rows = sorted(cast("list[dict[str, Any]]", answer["data"]), key=lambda row: int(row.get("index", 0)))
            vectors = tuple(_vector(row["embedding"]) for row in rows)
            if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) != 1:
                raise ModelError(ModelFault.MALFORMED, f"{len(vectors)} vectors for {len(texts)} texts", retryable=True)
            usage: dict[str, Any] = answer.get("usage") or {}
            return Embedding(vectors, usage.get("prompt_tokens"))


def _vector(told: str | list[float]) -> bytes:
    """Little-endian float32. Raises ValueError, TypeError."""
    numbers = array("f")
    if isinstance(told, str):
        numbers.frombytes(base64.b64decode(told, validate=True))
    else:
        numbers.extend(told)
    if not 0 < len(numbers) <= MOST_DIMENSIONS or not all(map(math.isfinite, numbers)):
        raise ValueError("what was answered is no vector")
    return numbers.tobytes()
