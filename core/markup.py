"""HTML as its texts and tags, in a time that grows with its length alone. Pure.

The standard library's parser looks for the end of whatever is not closed, from each place where such a thing begins:
40 KB of ``<a `` take it thirteen seconds. Here what is not closed reaches to the end of the text, as browsers have it
(HTML standard, section 13.2.5), so nothing is looked through twice.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

RAW = frozenset(("script", "style", "xmp", "iframe", "noembed", "noframes", "textarea", "title"))
"""Elements in which there are no tags but the one that ends them."""
WORDS = frozenset(("textarea", "title"))
"""Those of them in which characters are written as anywhere."""
_NAME = re.compile(r"[^\s/>]+")
_ATTRIBUTE = re.compile(r"[\s/]*([^\s/>][^\s/>=]*)")
_EQUALS = re.compile(r"\s*=\s*")
_PLAIN = re.compile(r"[^\s>]*")
_SPACE = re.compile(r"[\s/]*")
_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{8,};?")
"""No character has so large a number, and Python refuses to read a very large one."""
_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in RAW}


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag; names are in small letters. ``closes``: ``</p>``; ``is_empty``: ``<br/>``."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    closes: bool = False
    is_empty: bool = False


def read_markup(text: str) -> Iterator[str | Tag]:
    """Texts and tags in their order. Comments and declarations are left out. Never fails."""
    at = 0
    while at < len(text):
        begin = text.find("<", at)
        if begin < 0:
            yield _unescaped(text[at:])
            return
        if begin > at:
            yield _unescaped(text[at:begin])
        following = text[begin + 1 : begin + 2]
        if following.isascii() and following.isalpha():
            tag, at = _tag(text, begin + 1)
            if tag is None:
                return
            yield tag
            if tag.name in RAW and not tag.is_empty:
                end = _end_of(text, tag.name, at)
                yield _unescaped(text[at:end]) if tag.name in WORDS else text[at:end]
                at = end
        elif following == "/" and text[begin + 2 : begin + 3].isalpha():
            tag, at = _tag(text, begin + 2)
            if tag is None:
                return
            yield Tag(tag.name, closes=True)
        elif following and following in "!?/":
            at = _behind(text, begin)
        else:
            yield "<"
            at = begin + 1


def _tag(text: str, at: int) -> tuple[Tag | None, int]:
    """The tag whose name begins there, and where it ends; None for one that does not."""
    named = _NAME.match(text, at)
    name = named[0].lower() if named else ""
    at = named.end() if named else at
    attributes: dict[str, str] = {}
    while found := _ATTRIBUTE.match(text, at):
        at, value = found.end(), ""
        if equals := _EQUALS.match(text, at):
            value, at = _value(text, equals.end())
        attributes.setdefault(found[1].lower(), _unescaped(value))
    rest = _SPACE.match(text, at)
    end = rest.end() if rest else at
    if end >= len(text):
        return None, end
    return Tag(name, attributes, is_empty=text[end - 1] == "/" and end > at), end + 1


def _value(text: str, at: int) -> tuple[str, int]:
    mark = text[at : at + 1]
    if mark and mark in "\"'":
        end = text.find(mark, at + 1)
        return (text[at + 1 :], len(text)) if end < 0 else (text[at + 1 : end], end + 1)
    plain = _PLAIN.match(text, at)
    return (plain[0], plain.end()) if plain else ("", at)


def _behind(text: str, begin: int) -> int:
    """Where a comment or declaration is over."""
    for opening, closing in (("<!-->", ""), ("<!--->", ""), ("<!--", "-->"), ("<![CDATA[", "]]>"), ("<", ">")):
        if text.startswith(opening, begin):
            end = text.find(closing, begin + len(opening))
            return len(text) if end < 0 else end + len(closing)
    return len(text)


def _end_of(text: str, name: str, at: int) -> int:
    found = _ENDS[name].search(text, at)
    return found.start() if found else len(text)


def _unescaped(text: str) -> str:
    return html.unescape(_NUMBER.sub("\N{REPLACEMENT CHARACTER}", text)) if "&" in text else text
