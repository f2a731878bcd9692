"""Markdown to text with entities. An entity list cannot fail to parse, so unclosed marks never cost an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from telegramify_markdown import RenderConfig, convert

from bots.adapter import Page
from bots.telegram_bot import utf16
from bots.telegram_bot.tidy import tidy
from core.message import clean_text

MAX_ENTITIES = 100
"""The server keeps so many of a message and drops the rest."""
MAX_GUARDS = 40
"""Links that may be made out of addresses with an @ in them; the rest of those addresses are broken up."""
JOINER = "\u2060"
"""Word joiner: invisible, and an @ before it mentions nobody."""
_KINDS = frozenset(
    "bold italic underline strikethrough spoiler code pre text_link blockquote expandable_blockquote".split()
)
_CODE = frozenset(("code", "pre"))
_MENTION = re.compile(r"(?<![0-9A-Za-z_])@(?=[0-9A-Za-z_])")
_ADDRESS = re.compile(r"(?:https?://)?[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?::\d+)?/[\w\-./~%:@!$&'*+,;=?#]*", re.I)
_LINK = re.compile(r"https?://[^\s/]", re.I)


def _config() -> RenderConfig:
    config = RenderConfig.isolated()
    symbol = config.markdown_symbol
    for level in range(1, 7):
        setattr(symbol, f"heading_level_{level}", "")
    symbol.image = ""
    symbol.unordered_list_item = "•"
    return config


_CONFIG = _config()


def format(markdown: str) -> Page:  # noqa: A001 - the name in the Outbound protocol
    """``markdown`` as Telegram shows it. Never fails: what cannot be converted is shown as it is."""
    source = clean_text(markdown)
    try:
        text, found = convert(tidy(source), config=_CONFIG)
        entities = [entity.to_dict() for entity in found]
    except Exception:  # noqa: BLE001 - a plain answer is better than none, whatever the parser tripped over
        text, entities = source, []
    if not text.strip():
        text, entities = source, []
    text, entities = _quieten(*_trim(text, [e for e in entities if _is_allowed(e)]))
    return Page(text, utf16.length(text), tuple(entities))


def _is_allowed(entity: dict[str, Any]) -> bool:
    """Links only to the web: ``tg://user`` pings, other schemes are dangerous or refused."""
    if entity["type"] == "text_link":
        return bool(_LINK.match(entity["url"]))
    return entity["type"] in _KINDS


def _trim(text: str, entities: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Without blank ends, which the server would cut off: then an edit would never look unchanged to us."""
    body = text.lstrip("\n")
    shift = len(text) - len(body)
    body = body.rstrip()
    end = utf16.length(body)
    kept: list[dict[str, Any]] = []
    for entity in entities:
        start = max(entity["offset"] - shift, 0)
        stop = min(entity["offset"] - shift + entity["length"], end)
        if stop > start:
            kept.append({**entity, "offset": start, "length": stop - start})
    return body, kept


def _quieten(text: str, entities: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Makes every ``@name`` harmless, and leaves code, e-mail addresses and web addresses as they are.

    A joiner inside a web address would break it; such an address becomes a link instead, in which Telegram
    looks for no mentions.
    """
    guards: list[dict[str, Any]] = []
    if "@" in text:
        offsets = _Offsets(text)
        fixed = [_span(e) for e in entities if e["type"] in _CODE]
        links = [_span(e) for e in entities if e["type"] == "text_link"]
        for match in _ADDRESS.finditer(text):
            start, stop = offsets.units(match.start()), offsets.units(match.end())
            covered = _overlaps(start, stop, fixed + links)
            if _MENTION.search(match[0]) and not covered and len(guards) < MAX_GUARDS:
                url = match[0] if _LINK.match(match[0]) else f"https://{match[0]}"
                guards.append({"type": "text_link", "offset": start, "length": stop - start, "url": url})
        fixed += [_span(guard) for guard in guards]
        places = [m.end() for m in _MENTION.finditer(text)]
        places = [p for p in places if not _overlaps(offsets.units(p), offsets.units(p) + 1, fixed)]
        text, entities = _insert(text, entities + guards, places, offsets)
        guards = [e for e in entities if e in guards] if not places else entities[len(entities) - len(guards) :]
    others = sorted((e for e in entities if e not in guards), key=_order)
    return text, sorted(guards + others[: MAX_ENTITIES - len(guards)], key=_order)
