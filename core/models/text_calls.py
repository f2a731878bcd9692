"""Tool calls that small local models write as bare JSON into their answer, where a server does not take them out."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, cast

from core.parts import ToolCall

BEGINNINGS = ("{", "<tool_call>", "```json", "```tool_call")
LONGEST_CALL = 20_000
"""Characters; what is longer is an answer."""
_FRAME = re.compile(r"</?tool_call>|```(?:json|tool_call)?")


class TextCalls:
    """Fed with an answer's text in order: keeps back what may be a call until that is known."""

    def __init__(self, names: Collection[str]) -> None:
        """``names`` of the tools there are: JSON about anything else is an answer."""
        self._names = names
        self._held = ""
        self._is_text = False

    def feed(self, piece: str) -> str:
        """The text to show now."""
        if self._is_text:
            return piece
        self._held += piece
        begun = self._held.lstrip()
        may_be = any(begun.startswith(beginning[: len(begun)]) for beginning in BEGINNINGS)
        if may_be and len(self._held) <= LONGEST_CALL:
            return ""
        self._is_text = True
        held, self._held = self._held, ""
        return held

    def finish(self) -> tuple[str, tuple[ToolCall, ...]]:
        """What is still to be shown, and the calls."""
        calls = _calls(_FRAME.sub(" ", self._held), self._names)
        return ("", calls) if calls else (self._held, ())


def _calls(text: str, names: Collection[str]) -> tuple[ToolCall, ...]:
    """All that is said, as calls; nothing where anything else is said."""
    decoder, found = json.JSONDecoder(), list[ToolCall]()
    text = text.strip()
    while text:
        try:
            value, end = decoder.raw_decode(text)
        except (ValueError, RecursionError):
            return ()
        call = _call(value, names, len(found))
        if call is None:
            return ()
        found.append(call)
        text = text[end:].lstrip(" \t\r\n,;")
    return tuple(found)


def _call(value: Any, names: Collection[str], number: int) -> ToolCall | None:
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    name: Any = fields.get("name")
    arguments: Any = fields.get("arguments", fields.get("parameters", {}))
    if not isinstance(name, str) or name not in names:
        return None
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(f"call_{number}", name, written)
