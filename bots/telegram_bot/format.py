"""Markdown to text with entities, or to a rich message where that shows more. Neither can fail to parse, so unclosed
marks never cost an answer."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

from telegramify_markdown import MessageEntity, RenderConfig, convert

from bots.adapter import Page
from bots.telegram_bot import details, rich_html, utf16
from bots.telegram_bot.tidy import tidy
from core.message import clean_text

MAX_TEXT = 4096
"""UTF-16 units. The server counts code points after entities; units are never fewer."""
RICH_SHARE = rich_html.MAX_CHARACTERS // MAX_TEXT
"""Pages that may become rich are measured in so many units: a full one is as long as a full text."""
MAX_ENTITIES = 100
"""The server keeps so many of a message and drops the rest."""
MAX_GUARDS = 40
"""Web addresses with an @ that are made links; in more than these the @ is broken up like anywhere else."""
JOINER = "\u2060"
"""Word joiner: invisible, and an @ before it mentions nobody."""
_STYLES = ("bold", "italic", "underline", "strikethrough", "spoiler")
_KINDS = frozenset((*_STYLES, "code", "pre", "text_link", "blockquote", "expandable_blockquote"))
_MENTION = re.compile(r"(?<![0-9A-Za-z_])@(?=[0-9A-Za-z_])")
_ADDRESS = re.compile(
    r"(?<![\w.@/-])(?:https?://)?[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?::\d+)?/[\w\-./~%:@!$&*+,;=?#]*[\w/=&]",
    re.IGNORECASE,
)
_WEB = re.compile(r"https?://[^\s/]", re.IGNORECASE)

Entity = dict[str, Any]


def _config() -> RenderConfig:
    config = RenderConfig.isolated()
    symbol = config.markdown_symbol
    for level in range(1, 7):
        setattr(symbol, f"heading_level_{level}", "")
    symbol.image = ""
    symbol.unordered_list_item = "•"
    return config


_CONFIG = _config()


def to_rich_page(markdown: str, *, always: bool = False) -> Page:
    """``markdown`` as a rich message where that shows more than text with entities, or is too long for one of these;
    else like ``to_page``. ``always``: wherever it can be. Never fails."""
    page = None if always or rich_html.may_show_more(markdown) or len(markdown) > MAX_TEXT else to_page(markdown)
    if page is not None and page.length <= MAX_TEXT:
        return replace(page, length=_share(page.length))
    rich = _rich(markdown)
    if rich is None:
        return page or to_page(markdown)
    if not (always or rich.shows_more):
        page = page or to_page(markdown)
        if page.length <= MAX_TEXT:
            return replace(page, length=_share(page.length))
    return Page(rich.text, _share(rich.length), rich=rich.html)


def _share(units: int) -> int:
    return -(-units // RICH_SHARE)


def _rich(markdown: str) -> rich_html.Rich | None:
    try:
        return rich_html.render(clean_text(markdown))
    except Exception:  # whatever the parser tripped over, a plain answer is better than none
        return None


def to_page(markdown: str) -> Page:
    """``markdown`` as text with entities. Never fails: what cannot be converted is shown as it is."""
    source = clean_text(markdown)
    try:
        text, found = convert(tidy(details.unfolded(source)), config=_CONFIG)
        entities = [_as_dict(entity) for entity in found if _is_allowed(entity.type, entity.url or "")]
    except Exception:  # whatever the parser tripped over, a plain answer is better than none
        text, entities = source, []
    if not text.strip():
        text, entities = source, []
    text, entities = _quieten(*_trim(text, entities))
    return Page(text, utf16.length(text), tuple(entities))


def retold(author: str, said: str) -> Page:
    """What somebody said, as it is, under their name: it names nobody, and none of it is Markdown."""
    head, body = f"{author}:", clean_text(said) or "…"
    start = utf16.length(head) + 1
    entities = [
        {"type": "bold", "offset": 0, "length": start - 1},
        {"type": "blockquote", "offset": start, "length": utf16.length(body)},
    ]
    text, entities = _quieten(f"{head}\n{body}", entities)
    return Page(text, utf16.length(text), tuple(entities))


def plain(page: Page) -> Page:
    """The same without any formatting, for a server that refuses the entities."""
    return replace(page, entities=())


def _as_dict(entity: MessageEntity) -> Entity:
    values: Entity = {"type": entity.type, "offset": entity.offset, "length": entity.length}
    if entity.url:
        values["url"] = entity.url
    if entity.language:
        values["language"] = entity.language
    return values


def _is_allowed(kind: str, url: str) -> bool:
    """Links only to the web: ``tg://user`` pings people, other schemes are dangerous or refused."""
    return bool(_WEB.match(url)) if kind == "text_link" else kind in _KINDS


def _trim(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Without blank ends: the server cuts them off too, and entities may not reach over them."""
    body = text.lstrip("\n")
    shift = len(text) - len(body)
    body = body.rstrip()
    end = utf16.length(body)
    kept: list[Entity] = []
    for entity in entities:
        start = max(entity["offset"] - shift, 0)
        stop = min(entity["offset"] - shift + entity["length"], end)
        if stop > start:
            kept.append({**entity, "offset": start, "length": stop - start})
    return body, kept


def _quieten(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Makes every ``@name`` harmless, but for those in code, where Telegram looks for none.

    E-mail addresses mention nobody. A web address would break with a joiner in it: it becomes a link instead, in
    which Telegram looks for no mentions either.
    """
    guards: list[Entity] = []
    if "@" in text:
        units = _units(text)
        code = [_span(e) for e in entities if e["type"] in ("code", "pre")]
        links = [_span(e) for e in entities if e["type"] == "text_link"]
        guards = _guards(text, units, code + links)
        safe = code + [_span(guard) for guard in guards]
        places = [m.end() for m in _MENTION.finditer(text) if not _inside(units[m.end()], safe)]
        shifts = [units[place] for place in places]
        entities = [_shifted(entity, shifts) for entity in entities]
        guards = [_shifted(guard, shifts) for guard in guards]
        text = _joined(text, places)
    entities = sorted(entities, key=_order)[: MAX_ENTITIES - len(guards)]
    return text, sorted(entities + guards, key=_order)


def _guards(text: str, units: Sequence[int], taken: list[tuple[int, int]]) -> list[Entity]:
    guards: list[Entity] = []
    for match in _ADDRESS.finditer(text):
        start, stop = units[match.start()], units[match.end()]
        free = all(stop <= a or start >= b for a, b in taken)
        if free and _MENTION.search(match[0]) and len(guards) < MAX_GUARDS:
            url = match[0] if _WEB.match(match[0]) else f"https://{match[0]}"
            guards.append({"type": "text_link", "offset": start, "length": stop - start, "url": url})
    return guards


def _units(text: str) -> Sequence[int]:
    """For every index of ``text``, and its end, the UTF-16 offset."""
    if text.isascii():
        return range(len(text) + 1)
    return [0, *accumulate(2 if char > "\uffff" else 1 for char in text)]


def _joined(text: str, places: list[int]) -> str:
    edges = [0, *places, len(text)]
    return JOINER.join(text[a:b] for a, b in pairwise(edges))


def _shifted(entity: Entity, shifts: list[int]) -> Entity:
    """The entity after one unit was inserted at each of ``shifts``."""
    start, stop = _span(entity)
    start, stop = start + bisect_right(shifts, start), stop + bisect_left(shifts, stop)
    return {**entity, "offset": start, "length": stop - start}


def _span(entity: Entity) -> tuple[int, int]:
    return entity["offset"], entity["offset"] + entity["length"]


def _inside(unit: int, spans: list[tuple[int, int]]) -> bool:
    return any(start < unit <= end for start, end in spans)


def _order(entity: Entity) -> tuple[int, int]:
    return entity["offset"], -entity["length"]
