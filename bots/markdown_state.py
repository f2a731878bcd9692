"""What is open at a position of a Markdown text: fences, quotes, lists and tables by line, marks within a paragraph.

Not a Markdown parser: it knows just what a page must close at its end and the next one reopen.
Everything here is pure and looks only backwards, so what it says of a position never changes when
the text grows.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, auto

_PREFIX = re.compile(r"((?: {0,3}>[ \t]?)*)([ \t]*)")
_ITEM = re.compile(r"(?:[-*+]|(\d{1,9})[.)])(?:[ \t]+|$)")
_FENCE = re.compile(r"(?:(`{3,64})([^`]*)|(~{3,64})(.*))$")
_HEADING = re.compile(r"#{1,6}(?:[ \t]|$)")
_RULE = re.compile(r"(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_TABLE_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_TOKEN = re.compile(
    r"\\[!-/:-@\[-`{-~]|`+|\*+|_+|~~+|\|\|+|!?\[|<?https?://[!#-;=?-Z^_a-z{}~]+>?",
)
_MARKUP = re.compile(r"[\\`*_~|\[]")
_TARGET = re.compile(r"\((?:[^()\s\\]|\\.|\([^()\s]*\))*(?:[ \t]+\"[^\"\n]*\")?[ \t]*\)")
_MAX_LINK_TEXT = 1000
_MAX_LINK_TARGET = 2000
_MAX_LINK_WORK = 8000
"""Characters looked at for links in one paragraph: thousands of brackets that open none must not cost a second."""
_MAX_MARKS = 8
_MAX_NESTING = 16
_MAX_CODE_RUN = 16


class Kind(Enum):
    """What a line is."""

    BLANK = auto()
    TEXT = auto()
    HEADING = auto()
    ITEM = auto()
    RULE = auto()
    TABLE_HEAD = auto()
    """The row of dashes under a table's header."""
    TABLE_ROW = auto()
    FENCE_OPEN = auto()
    FENCE_CLOSE = auto()
    CODE = auto()


@dataclass(frozen=True, slots=True)
class Fence:
    """An open fenced code block."""

    marker: str
    info: str
    quote: str
    indent: int

    def opening(self) -> str:
        """The line that opens it again; only the language of an overlong info string."""
        info = self.info if len(self.info) <= 40 else self.info.split()[0][:40]
        return f"{self.quote}{self.marker}{info}\n"

    def closing(self) -> str:
        return f"\n{self.quote}{self.marker}"


@dataclass(frozen=True, slots=True)
class Item:
    """An open list item. ``since`` is where its list began; ``number`` is counted, whatever the source says."""

    offset: int
    """Column of the item's content, within its quote."""
    number: int | None
    since: int


@dataclass(frozen=True, slots=True)
class Block:
    """What is open before a line."""

    last: Kind = Kind.BLANK
    """The newest line that is not blank."""
    after_blank: bool = True
    fence: Fence | None = None
    quote: str = ""
    """The ``>`` prefix of the paragraph."""
    items: tuple[Item, ...] = ()
    header: str = ""
    """Header and row of dashes of the open table; before the dashes, the line that may be a header."""
    paragraph: int = -1
    """Where the open paragraph's text begins; -1 for none."""
    marks: tuple[str, ...] = ()
    """Marks that were open where the paragraph begins, because a page was cut there."""


START = Block()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the source: where it starts, what it is, what is open before and after it."""

    start: int
    end: int
    """Without its line break."""
    kind: Kind
    before: Block
    after: Block


def indent_of(spaces: str) -> int:
    """Columns; a tab reaches to the next multiple of four."""
    return len(spaces.expandtabs(4)) if "\t" in spaces else len(spaces)


def prefix_of(text: str, start: int, end: int) -> tuple[str, str, int]:
    """A line's quote prefix, its indentation, and where its content begins."""
    match = _PREFIX.match(text, start, end)
    assert match is not None  # the pattern matches the empty string
    return match.group(1), match.group(2), match.end()


def read_line(text: str, start: int, end: int, block: Block) -> Line:
    """The line ``text[start:end]``, ``block`` being open before it."""
    if block.fence is not None:
        line = _in_fence(text, start, end, block, block.fence)
        if line is not None:
            return line
        block = Block()
    quote, spaces, content = prefix_of(text, start, end)
    if not text[content:end].strip():
        kept = block.items if quote.count(">") == block.quote.count(">") else ()
        blank = Block(last=block.last, quote=quote, items=kept)
        return Line(start, end, Kind.BLANK, block, blank)
    return _content_line(text, start, end, block, quote, indent_of(spaces), content)


def _in_fence(text: str, start: int, end: int, block: Block, fence: Fence) -> Line | None:
    """None where the quote that holds the fence has ended."""
    content = start
    if fence.quote:
        quote, _, content = prefix_of(text, start, end)
        if quote.count(">") < fence.quote.count(">"):
            return None
    rest = text[content:end].strip()
    if rest.startswith(fence.marker) and not rest.strip(fence.marker[0]):
        after = Block(last=Kind.FENCE_CLOSE, after_blank=False, quote=fence.quote, items=block.items)
        return Line(start, end, Kind.FENCE_CLOSE, block, after)
    if block.last is Kind.CODE:
        return Line(start, end, Kind.CODE, block, block)
    after = Block(last=Kind.CODE, after_blank=False, fence=fence, quote=fence.quote, items=block.items)
    return Line(start, end, Kind.CODE, block, after)


def _content_line(text: str, start: int, end: int, block: Block, quote: str, indent: int, content: int) -> Line:
    items = block.items
    in_paragraph = block.paragraph >= 0
    if quote.count(">") != block.quote.count(">") and not (in_paragraph and not quote):
        items, in_paragraph = (), False
    rule = _RULE.match(text, content, end)
    marker = None if rule else _ITEM.match(text, content, end)
    sibling: Item | None = None
    if marker or not in_paragraph:
        while items and indent < items[-1].offset:
            sibling, items = items[-1], items[:-1]
    base = items[-1].offset if items else 0
    if not in_paragraph and indent - base >= 4:
        after = Block(last=Kind.CODE, after_blank=False, quote=quote, items=items)
        return Line(start, end, Kind.CODE, block, after)
    column, outer = indent, items
    while marker and column - base < 4 and len(items) < _MAX_NESTING:
        width = len(marker.group()) if marker.end() < end else len(marker.group().rstrip()) + 1
        base = column = column + width
        items, sibling = (*items, _item(marker, column, sibling, start)), None
        content = marker.end()
        marker = _ITEM.match(text, content, end)
    fence = _FENCE.match(text, content, end) if column - base < 4 else None
    if fence:
        info = (fence.group(2) or fence.group(4) or "").strip()
        opened = Fence(fence.group(1) or fence.group(3), info, quote, column)
        return Line(start, end, Kind.FENCE_OPEN, block, Block(Kind.FENCE_OPEN, False, opened, quote, items))
    if rule:
        return Line(start, end, Kind.RULE, block, Block(Kind.RULE, False, None, quote, items))
    return _text_line(
        text, Line(start, end, Kind.TEXT, block, block), quote, items, content, in_paragraph, items != outer
    )


def _text_line(
    text: str, line: Line, quote: str, items: tuple[Item, ...], content: int, in_paragraph: bool, opens_item: bool
) -> Line:
    """A heading, an item's first line, a row of a table, or a paragraph's line."""
    start, end, block = line.start, line.end, line.before
    kind, header, paragraph, marks = Kind.TEXT, "", content, ()
    cells = "|" in text[content:end]
    row = _table_line(text, start, end, content, block) if cells and not opens_item else None
    if _HEADING.match(text, content, end):
        kind = Kind.HEADING
    elif row is not None:
        kind, header = row
    elif opens_item:
        kind = Kind.ITEM
    else:
        header = text[start:end] if cells else ""
        if in_paragraph and block.last in (Kind.TEXT, Kind.ITEM):
            quote, paragraph, marks = quote or block.quote, block.paragraph, block.marks
    return Line(start, end, kind, block, Block(kind, False, None, quote, items, header, paragraph, marks))


def _item(marker: re.Match[str], offset: int, sibling: Item | None, start: int) -> Item:
    written = marker.group(1)
    if written is None:
        return Item(offset, None, start)
    if sibling is not None and sibling.number is not None:
        return Item(offset, sibling.number + 1, sibling.since)
    return Item(offset, int(written), start)


def _table_line(text: str, start: int, end: int, content: int, block: Block) -> tuple[Kind, str] | None:
    if block.last in (Kind.TABLE_HEAD, Kind.TABLE_ROW) and not block.after_blank:
        return Kind.TABLE_ROW, block.header
    if block.header and "\n" not in block.header and _TABLE_RULE.match(text, content, end):
        return Kind.TABLE_HEAD, f"{block.header}\n{text[start:end]}\n"
    return None


@dataclass(frozen=True, slots=True)
class Inline:
    """What a stretch of a paragraph leaves open, outermost first, and the spans that must not be cut.

    A span that has not ended within the stretch ends one past it.
    """

    marks: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]

    def whole(self, cut: int) -> bool:
        """A cut here goes through no span."""
        return all(not start < cut < end for start, end in self.spans)


_PLAIN = Inline((), ())


def read_inline(text: str, start: int, end: int, marks: tuple[str, ...] = ()) -> Inline:
    """Reads ``text[start:end]`` of one paragraph, ``marks`` being open before it."""
    if not marks and _MARKUP.search(text, start, end) is None and text.find("://", start, end) < 0:
        return _PLAIN
    scan = _Scan(text, start, end, list(marks))
    scan.run()
    return Inline(tuple(scan.marks), tuple(scan.spans))


class _Scan:
    __slots__ = ("end", "in_table", "link_work", "marks", "spans", "start", "text")

    def __init__(self, text: str, start: int, end: int, marks: list[str]) -> None:
        self.text, self.start, self.end, self.marks = text, start, end, marks
        self.spans: list[tuple[int, int]] = []
        self.link_work = _MAX_LINK_WORK
        self.in_table = text.startswith("|", start, end)

    def run(self) -> None:
        at = self.start
        if self.marks and self.marks[-1][0] == "`":
            at = self._code(self.start, self.start, self.marks.pop())
        while at < self.end:
            token = _TOKEN.search(self.text, at, self.end)
            if token is None:
                return
            first, stop = token.start(), token.end()
            found = token.group()
            if found[0] == "\\":
                self.spans.append((first, stop))
                at = stop
            elif found[0] == "`":
                at = self._code(first, stop, found) if stop - first <= _MAX_CODE_RUN else stop
            elif found[-1] == "[":
                at = self._link(first, stop)
            elif found[0] in "h<":
                at = self._url(first, stop)
            else:
                self._delimiter(first, stop)
                at = stop

    def _code(self, first: int, inside: int, run: str) -> int:
        closing = re.compile(rf"(?<!`){run}(?!`)").search(self.text, inside, self.end)
        if closing:
            self.spans.append((first, closing.end()))
            return closing.end()
        self.spans.append((first, self.end + 1))
        if self.text[inside : self.end].strip() and len(self.marks) < _MAX_MARKS:
            self.marks.append(run)
        return self.end

    def _link(self, first: int, inside: int) -> int:
        depth, at = 1, inside
        if self.link_work <= 0:
            return inside
        while depth and at < self.end and at - inside <= _MAX_LINK_TEXT:
            char = self.text[at]
            depth += (char == "[") - (char == "]")
            at += 2 if char == "\\" else 1
        self.link_work -= at - inside
        if depth:
            if at < self.end:  # too long for a link's text
                return inside
            self.spans.append((first, self.end + 1))
            return inside
        if at >= self.end:  # what follows decides whether it is a link
            self.spans.append((first, self.end + 1))
            return self.end
        if self.text[at] != "(":
            return inside
        target = _TARGET.match(self.text, at, self.end)
        if target:
            self.spans.append((first, target.end()))
            return target.end()
        rest = self.text[at : min(self.end, at + _MAX_LINK_TARGET)]
        if at + len(rest) == self.end and "\n" not in rest and rest.count("(") > rest.count(")"):
            self.spans.append((first, self.end + 1))
            return self.end
        return inside

    def _url(self, first: int, stop: int) -> int:
        if stop == self.end and self.text[stop - 1] != ">":
            self.spans.append((first, self.end + 1))
        tail = self.text[first:stop].rstrip("*_~.,;:!?)") if self.text[first] != "<" else self.text[first:stop]
        if stop < self.end or self.text[stop - 1] == ">":
            self.spans.append((first, first + len(tail)))
        return first + len(tail)

    def _delimiter(self, first: int, stop: int) -> None:
        char, left = self.text[first], stop - first
        before = self.text[first - 1] if first > self.start else " "
        after = self.text[stop] if stop < self.end else " "
        opens, closes = _flanks(char, left, before, after)
        if char == "|" and self.in_table:
            return
        # The neighbour stays with the mark: a mark alone at a page's edge would open or close nothing.
        self.spans.append((max(self.start, first - 1) if closes else first, stop + 1 if opens else stop))
        while left:
            held = [i for i, mark in enumerate(self.marks) if mark[0] == char]
            if closes and held and len(self.marks[held[-1]]) <= left:
                left -= len(self.marks[held[-1]])
                del self.marks[held[-1] :]
                continue
            size = 1 if left == 1 or (left == 3 and char in "*_") else 2
            if not opens or (char in "~|" and left != 2) or len(self.marks) >= _MAX_MARKS:
                return
            self.marks.append(char * size)
            left -= size


def _flanks(char: str, length: int, before: str, after: str) -> tuple[bool, bool]:
    """Whether a run of marks can open, and close (CommonMark's flanking rules, a little stricter in words).

    Whether an open mark ever closes is not known yet, so ``2*3`` and ``a||b`` must not open anything.
    """
    left = not after.isspace() and (not _is_mark(after) or before.isspace() or _is_mark(before))
    right = not before.isspace() and (not _is_mark(before) or after.isspace() or _is_mark(after))
    in_word = before.isascii() and before.isalnum()
    if char == "_":
        return left and (not right or _is_mark(before)), right and (not left or _is_mark(after))
    if char == "|" or (char == "*" and length == 1):
        return left and not in_word, right
    return left, right


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"
