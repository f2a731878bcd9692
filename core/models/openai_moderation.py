"""Texts and pictures judged by OpenAI's moderation API."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from core.errors import ModelError, ModelFault
from core.models.model import Model
from core.models.openai_client import Client
from core.models.wire import Judgement

MAX_JUDGEMENT_BYTES = 1_000_000
LONGEST_TEXT = 8_000
"""Characters of one text; longer ones are judged in pieces."""


class Moderation:
    """The judge at one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def judge(self, model: Model, text: str, pictures: Sequence[tuple[str, bytes]] = ()) -> Judgement:
        """As :meth:`core.models.wire.Wire.judge`."""
        with self._client.errors():
            answer = await self._client.whole(
                "/moderations", {"model": model.id, "input": _input(text, pictures)}, MAX_JUDGEMENT_BYTES
            )
            return _judgement(json.loads(answer))


def _input(text: str, pictures: Sequence[tuple[str, bytes]]) -> str | list[Any]:
    pieces = [text[at : at + LONGEST_TEXT] for at in range(0, len(text), LONGEST_TEXT)]
    if not pictures:
        # Of strings each is judged by itself; of parts all together.
        return pieces if len(pieces) > 1 else text
    parts: list[Any] = [{"type": "text", "text": piece} for piece in pieces]
    for mime, data in pictures:
        url = f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def _judgement(answer: Any) -> Judgement:
    """The worst of all results."""
    scores: dict[str, float] = {}
    flagged: set[str] = set()
    results = cast("list[dict[str, Any]]", answer["results"])
    for result in results:
        for category, score in cast("Mapping[str, object]", result.get("category_scores") or {}).items():
            if isinstance(score, int | float):
                scores[category] = max(scores.get(category, 0.0), float(score))
        named = {name for name, is_so in cast("Mapping[str, object]", result["categories"]).items() if is_so is True}
        # Some servers say that something is wrong, and not what.
        flagged |= named or ({"flagged"} if result.get("flagged") is True else set())
    if not results:
        raise ModelError(ModelFault.MALFORMED, "a judgement without results", retryable=True)
    return Judgement(scores, frozenset(flagged))
