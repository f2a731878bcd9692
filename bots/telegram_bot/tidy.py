"""Mends the Markdown that models really write, before it is converted: nothing is lost, no raw marks stay.

- HTML outside code is shown as written (the converter drops it, text and all), a ``<br>`` breaks the line;
- a mark that was never closed is closed at the end of the text, where an answer may still be growing, and
  taken away further up;
- marks that CommonMark does not pair because of their neighbours (``**note:**text``, usual in Chinese) are paired;
- ``a || b`` is not the beginning of a spoiler;
- a picture without a description is named by its address, a link still being written shows its text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyromark

_OPTIONS = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_TASKLISTS
    | pyromark.Options.ENABLE_MATH
)
_ROUNDS = 6
"""An escaped tag can uncover another one in the same block; each round goes one deeper."""
_WORTH_A_LOOK = re.compile(r"[<`~]|\*\*|\|\||!\[|\]\(")
_RUN = re.compile(rb"\*\*\*?(?!\*)|~~(?!~)|`+")
_DROPPED_TAGS = re.compile(r"</?(?:b|strong|i|em|u|ins|s|del|sub|sup|small|mark|kbd|tg-spoiler)>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_HALF_LINK = re.compile(rb"!?\[([^\[\]\n]*)\]\([^()\s]*$")
_HALF_MARK = re.compile(rb"(?:(?<=\s)|^)(?:\*\*|~~|`{1,2})$")
_BLOCKS = frozenset(("Paragraph", "Item", "TableCell", "HtmlBlock", "Heading", "CodeBlock"))
_STRONG = re.compile(r"\*\*(?=[^\s*])([^*\n]*[^\s*])\*\*")
_OR = re.compile(r"(?<=\s)\|\|(?=\s)")
_THIN_SPACE = "\u200a"
"""As white space it lets a mark open or close beside punctuation, and is hardly seen."""

Edit = tuple[int, int, bytes]
"""Start and end in the source's UTF-8 bytes, and what takes their place."""
_Run = tuple[int, bytes]
"""Where marks stand, and which."""


def tidy(markdown: str) -> str:
    """``markdown`` mended. Raises what the parser raises."""
    if not _WORTH_A_LOOK.search(markdown):
        return markdown
    source = _beside_punctuation(markdown).encode("utf-8")
    for _ in range(_ROUNDS):
        edits = _edits(source, parsed(source.decode("utf-8")))
        if not edits:
            break
        source = _apply(source, edits)
    return source.decode("utf-8")


class Event(NamedTuple):
    """What the parser found in ``source[start:end]``: e.g. Text with the text, Start and End with a tag."""

    kind: str
    value: Any
    start: int
    end: int

    @property
    def tag(self) -> str:
        return self.value if type(self.value) is str else next(iter(self.value), "")


def parsed(text: str) -> list[Event]:
    """The parser's events; those that are but a word have no value. Raises what the parser raises."""
    found: list[Event] = []
    events: Any = pyromark.events_with_range(text, options=_OPTIONS)
    for event, span in events:
        kind, value = (event, "") if type(event) is str else next(iter(event.items()))
        found.append(Event(kind, value, span["start"], span["end"]))
    return found


def _beside_punctuation(text: str) -> str:
    """Thin spaces where bold text begins or ends with punctuation in the middle of words; lone ``||`` escaped."""
    strong = [match for match in _STRONG.finditer(text) if _is_crowded(text, match)]
    lone = [match for match in _OR.finditer(text) if not _line_before(text, match.start()).lstrip().startswith("|")]
    if not strong and not lone:
        return text
    source = text.encode("utf-8")
    code = [
        (event.start, event.end)
        for event in parsed(text)
        if event.kind == "Code" or (event.kind == "Start" and event.tag == "CodeBlock")
    ]
    edits: list[Edit] = []
    for match in strong:
        start, end = (len(text[:at].encode("utf-8")) for at in match.span())
        before = _THIN_SPACE if text[: match.start()][-1:].isalnum() and _is_mark(match[1][0]) else ""
        after = _THIN_SPACE if text[match.end() :][:1].isalnum() and _is_mark(match[1][-1]) else ""
        edits.append((start, end, f"{before}{match[0]}{after}".encode()))
    for match in lone:
        start = len(text[: match.start()].encode("utf-8"))
        edits.append((start, start + 2, rb"\|\|"))
    return _apply(source, [e for e in edits if not any(a <= e[0] < b for a, b in code)]).decode("utf-8")


def _is_crowded(text: str, match: re.Match[str]) -> bool:
    before, after = text[: match.start()][-1:], text[match.end() :][:1]
    return (before.isalnum() and _is_mark(match[1][0])) or (after.isalnum() and _is_mark(match[1][-1]))


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"


def _line_before(text: str, at: int) -> str:
    return text[text.rfind("\n", 0, at) + 1 : at]


def _apply(source: bytes, edits: list[Edit]) -> bytes:
    parts: list[bytes] = []
    at = 0
    for start, end, new in sorted(edits):
        if start >= at:
            parts += source[at:start], new
            at = end
    return b"".join(parts) + source[at:]


def _edits(source: bytes, events: list[Event]) -> list[Edit]:
    edits: list[Edit] = []
    blocks: list[list[_Run]] = [[]]
    text_end = run_end = 0
    before: Event | None = None
    for event in events:
        if event.kind == "Start" and event.tag in _BLOCKS:
            blocks.append([])
        elif event.kind == "Text":
            text_end = event.end
            run = _RUN.match(source, event.start) if event.value.startswith(("*", "~", "`")) else None
            if run and event.start >= run_end:
                blocks[-1].append((event.start, run[0]))
                run_end = run.end()
        elif event.kind == "End" and event.tag == "Image" and before and before.tag == "Image":
            edits.append(_named_picture(source, event.start, event.end))
        elif event.kind in ("Html", "InlineHtml"):
            edits += _shown_html(source, event.start, event.value)
        before = event if event.kind == "Start" else None
    for block in blocks[:-1]:
        edits += [(start, start + len(run), b"") for start, run in _unclosed(source, block)]
    unclosed = _unclosed(source, blocks[-1])
    if unclosed:
        end = len(source.rstrip())
        edits.append((end, end, b"".join(run for _, run in reversed(unclosed))))
    if not edits and text_end == len(source):
        edits += _finished(source)
    return edits


def _shown_html(source: bytes, start: int, html: str) -> Iterator[Edit]:
    if _DROPPED_TAGS.fullmatch(html.strip()):
        return
    stop = start + len(html.encode("utf-8"))
    found = _BREAK.fullmatch(html.strip())
    if found:
        line = source[source.rfind(b"\n", 0, start) + 1 : start]
        yield start, stop, b" " if b"|" in line else b"\n"
    else:
        at = start + len(html) - len(html.lstrip())
        if source[at : at + 1] == b"<":
            yield at, at + 1, b"\\<"


def _named_picture(source: bytes, start: int, end: int) -> Edit:
    target = re.match(rb"!\[\]\(\s*<?([^\s<>()]+)", source[start:end])
    name = target[1] if target else b"..."
    return start, end, b"[" + name + b"](" + name + b")"


def _unclosed(source: bytes, runs: list[_Run]) -> list[_Run]:
    """Of the runs that the parser left as text those that were meant to open something."""
    found: dict[bytes, int] = {}
    for start, run in runs:
        in_code = any(opened.startswith(b"`") for opened in found)
        if not in_code and run not in found and _opens(source, start, start + len(run)):
            found[run] = start
    return [(start, run) for run, start in found.items()]


def _opens(source: bytes, start: int, end: int) -> bool:
    """Not in ``2**3`` or ``it`s``, and not where the author escaped it."""
    before = source[start - 1 : start] if start else b" "
    return not (before.isalnum() or before in b"_*~`\\") and bool(source[end : end + 1].strip())


def _finished(source: bytes) -> Iterator[Edit]:
    """What the end of a growing text leaves half-written."""
    link = _HALF_LINK.search(source)
    if link:
        yield link.start(), len(source), link[1]
    mark = _HALF_MARK.search(source)
    if mark:
        yield mark.start(), len(source), b""
