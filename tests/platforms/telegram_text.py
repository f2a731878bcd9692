"""Text and entities as the Bot API server reads them: UTF-16 offsets, limits, what it finds by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
MAX_TEXT = 4096
MAX_CAPTION = 1024
MAX_ENTITIES = 100
STYLES = frozenset(
    ("bold", "italic", "underline", "strikethrough", "spoiler", "code", "pre", "blockquote", "expandable_blockquote")
)
_PATTERNS = (
    ("url", re.compile(r"(?:https?://)?(?:[\w-]+\.)+[A-Za-z]{2,}(?:/[\w\-./~%:@!$&*+,;=?#]*[\w/])?")),
    ("email", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("mention", re.compile(r"(?<!\w)@[A-Za-z0-9_]{2,32}\b")),
    ("bot_command", re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>@])")),
)


@dataclass(slots=True)
class Refusal(Exception):
    """What a call is answered with instead of a result."""

    code: int
    description: str
    parameters: Json = field(default_factory=dict[str, Any])
    violation: bool = False
    """A call that no state of the chat makes right: whoever made it has a fault."""


def bad(description: str) -> Refusal:
    """For what the chat or the message is like."""
    return Refusal(400, f"Bad Request: {description}")


def wrong(description: str) -> Refusal:
    """For what the call itself is like."""
    return Refusal(400, f"Bad Request: {description}", violation=True)


def units(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def part(text: str, entity: Json) -> str:
    """What an entity covers."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return raw[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le")


def accepted(text: str, entities: Sequence[Json], limit: int = MAX_TEXT) -> tuple[str, list[Json]]:
    """The text and entities as they are kept; raises Refusal for what the server refuses."""
    if re.search(r"[\ud800-\udfff]", text):
        raise wrong("strings must be encoded in UTF-8")
    given = [_checked(text, entity) for entity in entities]
    kept = sorted((e for e in given if e), key=lambda e: (e["offset"], -e["length"]))
    text, kept = _trimmed(text, kept)
    if not text:
        raise wrong("text must be non-empty")
    if len(text) > limit:
        raise wrong("message is too long" if limit == MAX_TEXT else "message caption is too long")
    return text, [*kept[:MAX_ENTITIES], *detected(text, kept)]


def detected(text: str, taken: Sequence[Json] = ()) -> list[Json]:
    """Mentions, commands and addresses that the server finds itself, outside code and links."""
    spans = [
        (e["offset"], e["offset"] + e["length"])
        for e in taken
        if e["type"] in ("code", "pre", "text_link", "text_mention")
    ]
    found: list[Json] = []
    if not any(sign in text for sign in "@/."):
        return found
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            start, end = units(text[: match.start()]), units(text[: match.end()])
            if all(end <= a or start >= b for a, b in spans):
                spans.append((start, end))
                found.append({"type": kind, "offset": start, "length": end - start})
    return sorted(found, key=lambda e: e["offset"])


def _checked(text: str, entity: Any) -> Json | None:
    """One entity; None for one that the server drops silently."""
    try:
        kind, start, length = entity["type"], entity["offset"], entity["length"]
    except (KeyError, TypeError):
        raise wrong("can't parse entities: a field of MessageEntity is missing") from None
    if type(start) is not int or type(length) is not int or start < 0 or length < 0:
        raise wrong(f"receive an entity with incorrect offset {start} or length {length}")
    for edge in (start, start + length):
        if edge > units(text):
            raise wrong(f"entity beginning at UTF-16 offset {start} ends after the end of the text")
        half = text.encode("utf-16-le", "surrogatepass")[2 * edge : 2 * edge + 2]
        if half and 0xDC00 <= int.from_bytes(half, "little") <= 0xDFFF:
            raise wrong(f"entity beginning at UTF-16 offset {start} ends in a middle of a UTF-16 symbol")
    if kind == "text_link":
        if entity["url"].startswith("tg://user"):
            return {"type": "text_mention", "offset": start, "length": length, "user": {"id": 1}}
        if not re.match(r"https?://[^\s/]", entity["url"]):
            return None
    elif kind == "text_mention":
        if type(entity.get("user", {}).get("id")) is not int:
            raise wrong("can't parse entities: the user of a mention is missing")
    elif kind not in STYLES:
        raise wrong(f"can't parse entities: unsupported type {kind} of MessageEntity")
    return dict(entity) if length else None


def _trimmed(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    first = text.encode("utf-16-le")[: 2 * entities[0]["offset"]].decode("utf-16-le") if entities else text
    shift = len(first) - len(first.lstrip())
    text = text[shift:].rstrip()
    end = units(text)
    kept: list[Json] = []
    for entity in entities:
        start = entity["offset"] - shift
        length = min(start + entity["length"], end) - start
        if length > 0:
            kept.append({**entity, "offset": start, "length": length})
    return text, kept
