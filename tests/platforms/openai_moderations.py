"""The moderation endpoint of the stub: finds the words and bytes that it is told to find."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.platforms.openai_checks import Refusal
from tests.platforms.openai_faults import error_answer


@dataclass
class Moderations:
    """``scores``: what is found in a text that holds a word, or in a picture that holds its bytes."""

    scores: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    flags_from: float = 0.5
    is_down: bool = False
    inputs: list[Any] = field(default_factory=list[Any])
    """As they came."""

    async def moderations(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        self.inputs.append(body["input"])
        if self.is_down:
            return error_answer(Refusal(500, "The server had an error."))
        given: Any = body["input"]
        items: list[Any] = [given] if isinstance(given, str) else given
        if items and isinstance(items[0], dict):
            results = [self._result(b"".join(map(_bytes, items)))]
        else:
            results = [self._result(str(text).encode()) for text in items]
        return web.json_response({"id": "modr-1", "model": body["model"], "results": results})

    def _result(self, data: bytes) -> dict[str, Any]:
        found: dict[str, float] = {"violence": 0.01, "sexual": 0.01}
        for word, scores in self.scores.items():
            if word.encode() in data:
                found |= scores
        categories = {name: score >= self.flags_from for name, score in found.items()}
        return {"flagged": any(categories.values()), "categories": categories, "category_scores": found}


def _bytes(part: dict[str, Any]) -> bytes:
    if part["type"] == "text":
        return str(part["text"]).encode()
    return base64.b64decode(part["image_url"]["url"].partition(",")[2])
