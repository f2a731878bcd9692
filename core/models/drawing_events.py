"""Reads the bytes of a streamed drawing: server-sent events into steps, unfinished pictures and the drawing. Pure."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Generator
from typing import Any, cast

from core.errors import ModelError, ModelFault
from core.models.wire import Drawing, Partial, Step

MAX_EVENT_BYTES = 60_000_000
"""A longer line is no picture, and would be kept in memory without bound."""
POLICY_CODES = frozenset({"moderation_blocked", "content_policy_violation", "content_filter", "contentFilter"})
"""Codes by which OpenAI and Azure say that their rules do not allow a picture."""


class DrawingEvents:
    """Fed with reads in order. The names of events are those of ``image_generation.…`` and ``image_edit.…``, and our
    own servers' ``image_generation.progress``."""

    def __init__(self, count: int) -> None:
        """``count`` is how many pictures were asked for: what comes beyond that is let go of."""
        self._rest = bytearray()
        self._count = count
        self._pictures: list[bytes] = []
        self._prompt: int | None = None
        self._answer: int | None = None

    def feed(self, data: bytes) -> Generator[Step | Partial]:
        """What a read tells. Raises ModelError, or ValueError, KeyError, TypeError for what is no such event."""
        begin = len(self._rest)
        self._rest += data
        if b"\n" in data:
            end = self._rest.rindex(b"\n", begin)
            lines, self._rest = bytes(self._rest[:end]).split(b"\n"), self._rest[end + 1 :]
            for line in lines:
                yield from self._line(line.strip())
        if len(self._rest) > MAX_EVENT_BYTES:
            raise ModelError(ModelFault.MALFORMED, f"an event of more than {MAX_EVENT_BYTES} bytes")

    def drawing(self) -> Drawing:
        """All of it, once the body has ended. Raises ValueError where no picture came."""
        if not self._pictures:
            raise ValueError("no picture in the stream")
        return Drawing(tuple(self._pictures), self._prompt, self._answer)

    def _line(self, line: bytes) -> Generator[Step | Partial]:
        payload = line.removeprefix(b"data:").strip()
        if payload in (line, b"[DONE]", b""):
            return
        event: dict[str, Any] = json.loads(payload)
        match str(event.get("type")).rpartition(".")[2]:
            case "progress":
                share = float(event["step"]) / max(float(event["steps"]), 1.0)
                if math.isfinite(share):
                    yield Step(min(max(share, 0.0), 1.0))
            case "partial_image":
                yield Partial(base64.b64decode(event["b64_json"]))
            case "completed" if len(self._pictures) < self._count:
                self._pictures.append(base64.b64decode(event["b64_json"]))
                usage: dict[str, Any] = event.get("usage") or {}
                self._prompt = _sum(self._prompt, usage.get("input_tokens"))
                self._answer = _sum(self._answer, usage.get("output_tokens"))
            case "error" | "failed":
                raise _reported(event.get("error") or event)
            case _:
                pass


def _sum(known: int | None, more: object) -> int | None:
    return (known or 0) + more if isinstance(more, int) else known


def _reported(error: Any) -> ModelError:
    code = cast("dict[str, Any]", error).get("code") if isinstance(error, dict) else None
    fault = ModelFault.FILTERED if code in POLICY_CODES else ModelFault.SERVER
    return ModelError(fault, f"{error!s:.200}", retryable=fault is ModelFault.SERVER)
