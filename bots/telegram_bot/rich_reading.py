"""Rich messages (Bot API 10.1) as Markdown for models: forwarded ones, and our own answers that are replied to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from bots.telegram_bot.raw import Me, Raw, part

MAX_CHARS = 33_000
"""A rich message has at most 32,768 characters."""
MAX_DEPTH = 40
"""Blocks nest 16 deep; so do texts in them, by their marks."""
_MARKS = {"bold": "**", "italic": "*", "strikethrough": "~~", "code": "`"}


class Reading:
    """Reads one message; ``me`` for whose mentions are left out and noted."""

    def __init__(self, me: Me | None = None) -> None:
        self.mentions_us = False
        self._me = me

    def text(self, message: Raw) -> str:
        """The whole message."""
        return self._blocks(message.get("blocks"), 0)[:MAX_CHARS].strip()

    def _blocks(self, blocks: Any, depth: int) -> str:
        if depth > MAX_DEPTH:
            return ""
        return "\n\n".join(filter(None, (self._block(block, depth + 1) for block in blocks or ())))

    def _block(self, block: Raw, depth: int) -> str:
        match block.get("type"):
            case "heading":
                return f"{'#' * int(block.get('size') or 1)} {self._said(block.get('text'), depth)}"
            case "pre":
                return f"```{block.get('language') or ''}\n{self._said(block.get('text'), depth)}\n```"
            case "mathematical_expression":
                return f"$${block.get('expression') or ''}$$"
            case "divider":
                return "---"
            case "list":
                return "\n".join(self._item(item, depth) for item in block.get("items") or ())
            case "table":
                return self._table(block, depth)
            case "details":
                return f"{self._said(block.get('summary'), depth)}\n\n{self._blocks(block.get('blocks'), depth)}"
            case "blockquote":
                return _led("> ", self._blocks(block.get("blocks"), depth))
            case "thinking":
                return ""
            case kind:
                inner = self._blocks(block.get("blocks"), depth) or self._said(block.get("text"), depth)
                caption = self._said(part(block, "caption").get("text"), depth)
                is_file = kind in {"photo", "video", "audio", "animation", "voice_note", "map"}
                return "\n".join(
                    filter(None, (f"[{str(kind).replace('_', ' ').capitalize()}]" * is_file, inner, caption))
                )

    def _item(self, item: Raw, depth: int) -> str:
        label = f"[{'x' if item.get('is_checked') else ' '}]" if item.get("has_checkbox") else item.get("label") or ""
        value = f"{item['value']}." if "value" in item and not item.get("has_checkbox") else f"- {label}".rstrip("•- ")
        return f"{value or '-'} {_led('  ', self._blocks(item.get('blocks'), depth)).strip()}"

    def _table(self, block: Raw, depth: int) -> str:
        rows: Iterable[Iterable[Raw]] = block.get("cells") or ()
        lines = ["| " + " | ".join(self._said(cell.get("text"), depth) for cell in row) + " |" for row in rows]
        return "\n".join(filter(None, (self._said(block.get("caption"), depth), *lines)))

    def _said(self, text: Any, depth: int) -> str:
        """A rich text: a string, a list of rich texts, or one with a meaning."""
        if isinstance(text, str) or not text or depth > MAX_DEPTH:
            return text if isinstance(text, str) else ""
        if isinstance(text, list):
            return "".join(self._said(piece, depth + 1) for piece in cast("list[Any]", text))
        rich: Raw = text
        kind = rich.get("type")
        if self._is_us(rich):
            self.mentions_us = True
            return ""
        if kind == "mathematical_expression":
            return f"${rich.get('expression') or ''}$"
        if kind == "custom_emoji":
            return str(rich.get("alternative_text") or "")
        inner = self._said(rich.get("text"), depth + 1)
        if kind == "url" and rich.get("url") not in (None, inner):
            return f"[{inner}]({rich['url']})"
        mark = _MARKS.get(str(kind), "")
        return f"{mark}{inner}{mark}" if inner.strip() else inner

    def _is_us(self, rich: Raw) -> bool:
        if self._me is None:
            return False
        name = str(rich.get("username") or "").removeprefix("@").lower()
        by_id = rich.get("type") == "text_mention" and str(part(rich, "user").get("id")) == self._me.id
        return by_id or (rich.get("type") == "mention" and name == self._me.username.lower())


def _led(lead: str, text: str) -> str:
    return "\n".join(lead + line for line in text.split("\n")) if text else ""
