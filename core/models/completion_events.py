"""Reads the bytes of a streamed chat completion: server-sent events into text, ending and usage. Pure."""

from __future__ import annotations

import json
from typing import Any, cast

from core.errors import ModelError, ModelFault
from core.models.visible import VisibleText
from core.models.wire import Done
from core.parts import Ending, ToolCall

MAX_CALLS = 32
"""Tool calls in one answer, and"""
MAX_CALL_CHARS = 200_000
"""characters of all their arguments: more is no answer."""
MAX_EVENT_BYTES = 1_000_000
"""A longer line is no chat completion, and would be kept in memory without bound."""
_ENDINGS = {"length": Ending.LENGTH, "max_tokens": Ending.LENGTH, "content_filter": Ending.FILTERED}


class CompletionEvents:
    """Fed with reads in order. An error keeps until :meth:`check`, so that the text before it is not lost."""

    def __init__(self) -> None:
        self._rest = b""
        self._text = VisibleText()
        self._reason = ""
        self._has_choices = False
        self._is_done = False
        self._usage: dict[str, Any] = {}
        self._calls: dict[int, list[str]] = {}
        self._error: ModelError | None = None

    @property
    def is_finished(self) -> bool:
        """The finish reason is there: the answer is whole."""
        return bool(self._reason)

    @property
    def is_over(self) -> bool:
        """Nothing more is to come but the end of the body."""
        return self._is_done or bool(self._reason and self._usage)

    def feed(self, data: bytes) -> str | None:
        """The visible text in a read, its events joined; "" for thoughts only; None when nothing was said."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        texts: list[str] = []
        try:
            for line in lines:
                if line.startswith(b"data:"):
                    self._event(line[5:].strip(), texts)
                elif line.lstrip()[:1] in (b"<", b"{"):
                    raise _malformed(f"not an event stream: {line[:60]!r}")
            if len(self._rest) > MAX_EVENT_BYTES:
                raise _malformed("an event of more than a megabyte")
        except ModelError as error:
            self._error = error
        return self._text.feed("".join(texts)) if texts else None

    def check(self) -> None:
        """Raises what was wrong in the reads so far."""
        if self._error is not None:
            raise self._error

    def end(self) -> str | None:
        """The body has ended: the visible text still held back."""
        last = self.feed(b"\n") if self._rest.strip() else None
        return (last or "") + self._text.finish() or None

    def done(self) -> Done:
        """How the answer ended, once the body has. Raises ModelError where it did not end well."""
        if not self._reason:
            raise _malformed("the stream ended without a finish reason" if self._has_choices else "no choices")
        ending = _ENDINGS.get(self._reason, Ending.COMPLETE)
        # Arguments that were cut off are none.
        calls = self._called() if ending is Ending.COMPLETE else ()
        return Done(ending, self._tokens("prompt"), self._tokens("completion"), calls)

    def _called(self) -> tuple[ToolCall, ...]:
        return tuple(
            ToolCall(id or f"call_{index}", name, arguments)
            for index, (id, name, arguments) in sorted(self._calls.items())
            if name
        )

    def _tokens(self, kind: str) -> int | None:
        count = self._usage.get(f"{kind}_tokens")
        return count if isinstance(count, int) else None

    def _event(self, payload: bytes, texts: list[str]) -> None:
        if payload == b"[DONE]":
            self._is_done = True
            return
        try:
            event: Any = json.loads(payload)
        except (ValueError, RecursionError):
            raise _malformed(f"broken JSON in the stream: {payload[:60]!r}") from None
        if not isinstance(event, dict):
            raise _malformed(f"not an object: {payload[:60]!r}")
        chunk = cast("dict[str, Any]", event)
        if error := chunk.get("error"):
            raise _reported(error)
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = cast("dict[str, Any]", usage)
        choices: Any = chunk.get("choices")
        # Azure's first chunk and the one with the usage have no choices.
        if not choices:
            return
        self._has_choices = True
        self._first_choice(choices, texts)

    def _first_choice(self, choices: Any, texts: list[str]) -> None:
        try:
            choice = choices[0]
            delta: dict[str, Any] = choice.get("delta") or {}
            # A refusal is the provider's answer in words: it is shown.
            text = delta.get("content") or delta.get("refusal")
            if text:
                texts.append(text + "")
            elif delta.get("reasoning_content") or delta.get("reasoning"):
                texts.append("")
            if pieces := delta.get("tool_calls"):
                texts.append("")
                self._add_calls(pieces)
            reason = choice.get("finish_reason")
        except (AttributeError, TypeError, KeyError):
            raise _malformed(f"not a chat completion: {str(choices)[:60]}") from None
        if reason == "error":
            raise ModelError(ModelFault.SERVER, "the model stopped with an error", retryable=True)
        if reason:
            self._reason = str(reason)

    def _add_calls(self, pieces: Any) -> None:
        """Each call comes in pieces: its id and name once, its arguments bit by bit."""
        for at, piece in enumerate(pieces):
            # Some servers send whole calls, without a number.
            index = piece.get("index")
            index = index if isinstance(index, int) else len(self._calls) if piece.get("id") else at
            call = self._calls.setdefault(index, ["", "", ""])
            function: dict[str, Any] = piece.get("function") or {}
            call[0] = call[0] or str(piece.get("id") or "")
            call[1] = call[1] or str(function.get("name") or "")
            arguments: Any = function.get("arguments") or ""
            # Some servers send them as an object, and not as its text.
            call[2] += arguments if isinstance(arguments, str) else json.dumps(arguments)
        if len(self._calls) > MAX_CALLS or sum(len(call[2]) for call in self._calls.values()) > MAX_CALL_CHARS:
            raise _malformed("tool calls without end")


def _malformed(detail: str) -> ModelError:
    return ModelError(ModelFault.MALFORMED, detail, retryable=True)


def _reported(error: Any) -> ModelError:
    """An error that came as an event; OpenRouter and llama.cpp put an HTTP status in its code."""
    detail = str(error)[:200]
    code = cast("dict[str, Any]", error).get("code") if isinstance(error, dict) else None
    if code == 429 or "rate_limit" in detail:
        return ModelError(ModelFault.RATE_LIMITED, detail)
    if isinstance(code, int) and 400 <= code < 500:
        return ModelError(ModelFault.REFUSED, detail)
    return ModelError(ModelFault.SERVER, detail, retryable=True)
