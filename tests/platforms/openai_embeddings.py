"""The fake's sense of meaning: POST /embeddings. Texts are near each other as far as they share letters, and words that
a test calls the same count as one."""

from __future__ import annotations

import base64
import re
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from aiohttp import web

from tests.platforms.openai_checks import Refusal
from tests.platforms.openai_faults import BEFORE_ANSWER, Fault, Strike, early_answer, error_answer

FIELDS = {"model", "input", "encoding_format", "dimensions", "user"}
MOST_INPUTS = 2048
DIMENSIONS = 64


@dataclass(slots=True)
class Vectors:
    """``same`` are words that mean the same. ``digits``: the server knows no base64."""

    models: tuple[str, ...] = ("vectors", "other-vectors")
    same: Mapping[str, str] = field(default_factory=dict[str, str])
    digits: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    strikes: deque[Strike] = field(default_factory=deque[Strike])

    def fail(self, fault: Fault, number: float | None = None, *, times: int = 1) -> None:
        """Queues a fault for the next ``times`` requests."""
        self.strikes.extend([Strike(fault, number)] * times)

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        self.asked.append(body)
        if self.strikes:
            strike = self.strikes.popleft()
            assert strike.fault in BEFORE_ANSWER
            return early_answer(strike.fault, strike.number)
        if unknown := set(body) - FIELDS:
            return error_answer(Refusal(400, f"Unrecognized request argument supplied: {sorted(unknown)[0]}"))
        if body["model"] not in self.models:
            return error_answer(Refusal(404, f"The model `{body['model']}` does not exist", code="model_not_found"))
        texts: list[str] = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if not 0 < len(texts) <= MOST_INPUTS or not all(texts):
            return error_answer(Refusal(400, "'$.input' is invalid. Please check the API reference."))
        size, as_text = body.get("dimensions", DIMENSIONS), body.get("encoding_format") == "base64" and not self.digits
        rows = [self.vector(text, size) for text in texts]
        data = [
            {"object": "embedding", "index": index, "embedding": _coded(row) if as_text else row}
            for index, row in enumerate(rows)
        ]
        tokens = sum(len(text) // 4 + 1 for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})

    def vector(self, text: str, size: int = DIMENSIONS) -> list[float]:
        row = [0.0] * size
        for word in re.findall(r"\w+", text.lower()):
            row[crc32(self.same.get(word, word).encode()) % size] += 1.0
        length = sum(number * number for number in row) ** 0.5 or 1.0
        return [number / length for number in row]


def _coded(row: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()
