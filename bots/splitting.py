"""Cuts an answer's Markdown into pages that a platform can show, each of them whole in itself.

A page is cut at a paragraph, else a line, a sentence, a word, else between two characters as people see them, and
never inside a link, a bare URL or a short code span. What is open at the cut (a fenced code
block, marks like ``**``, a quote) is closed at the page's end and opened again on the next one; a
table repeats its header; nested list items that open a page move to the left, and lists count on.

Where a page is cut depends on nothing but the text up to one character beyond what the page could
hold, so pages before the last stay as they are while the text grows. What is not whole yet can be
longer than what it becomes (an address that a link will hide, a mark that never closes): right at a
page's limit ``split`` may therefore open a page that it would not open for the longer text. ``Pages``
keeps what it has closed and never changes it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

from bots.graphemes import boundary_before
from bots.markdown_shift import counted, moved
from bots.markdown_state import (
    START,
    Block,
    Kind,
    Line,
    indent_of,
    prefix_of,
    read_inline,
    read_line,
)

Measure = Callable[[str], int]
"""Length of a page after the platform's formatting, in the unit of the limit.

Pure. It may make a text shorter, or longer by up to four times (tables: any number of times).
"""

_MAX_SOURCE = 4
"""A page holds at most this many times the limit of source (links are mostly addresses)."""
_ROUNDS = 12
_SENTENCE = re.compile(r"[.!?…][\"'”’)\]*_]*(?=\s)|[。！？；…][\"'”’」』）】*_]*")
_WORD = re.compile(r"(?<=\S)(?=\s)|[，、；：]")
_BLOCK_START = re.compile(r"\s*(?:\Z|#{1,6}(?:\s|\Z)|[-*+](?:\s|\Z)|\d{1,9}(?:\Z|[.)](?:\s|\Z))|>|[`~]{2}|\||[-=]{2})")
"""What would begin another kind of block if a page began with it, or may when more is known."""
_ORPHANS = (Kind.HEADING, Kind.FENCE_OPEN, Kind.TABLE_HEAD)
"""Lines that must not be a page's last."""
_OWN_BLOCK = (Kind.HEADING, Kind.ITEM, Kind.RULE, Kind.FENCE_OPEN)
_UNDECIDED = re.compile(r"[ \t>]*(?:`{1,64}|~{1,64})\Z")
_LANGUAGE = re.compile(r"[a-zA-Z0-9_+#.-]{0,20}")


def split(markdown: str, limit: int, measure: Measure) -> list[str]:
    """The pages of a text: ``measure(page) <= limit`` for each of them. None for a text with nothing to show.

    A code block that has not a line yet, at the very end of the text, is not shown.
    """
    return Pages(limit, measure).update(markdown)


class Pages:
    """The pages of a growing text. Closed pages stay as they are and are not read again."""

    def __init__(self, limit: int, measure: Measure) -> None:
        if limit < 1:
            raise ValueError(f"a page's limit must be positive, got {limit}")
        self._limit = limit
        self._measure = measure
        self._closed: list[str] = []
        self._source = ""
        self._cut = 0
        self._block = START

    def update(self, text: str) -> list[str]:
        """The pages of ``text``. One that does not continue the text before is split from its start."""
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not text.startswith(self._source):
            self._closed, self._source, self._cut, self._block = [], "", 0, START
        while True:
            page = _OpenPage(text, self._cut, self._block, self._limit, self._measure)
            if page.is_last():
                last = page.shown(len(text))
                return [*self._closed, last] if last else list(self._closed)
            self._cut = page.cut()
            shown = page.shown(self._cut)
            if shown:
                self._closed.append(shown)
            self._block = page.block_at(self._cut)
            self._source = text[: self._cut]


@dataclass(frozen=True, slots=True)
class _Opening:
    """How a page begins: ``text[start:]`` after ``prefix``, moved left by ``dedent`` columns."""

    start: int
    prefix: str
    dedent: int


class _OpenPage:
    """The page that begins at a cut, and as much of the text after it as must be read."""

    def __init__(self, text: str, at: int, block: Block, limit: int, measure: Measure) -> None:
        self._text, self._at, self._limit, self._measure = text, at, limit, measure
        self._lines: list[Line] = []
        self._starts: list[int] = []
        self._read = at
        self._inside_line = at > 0 and text[at - 1] != "\n"
        self._block = block
        self._lengths: dict[int, int] = {}
        self._opening = self._open()

    # -- reading

    def _read_to(self, position: int) -> None:
        """Reads all lines that start before ``position``."""
        text, size = self._text, len(self._text)
        while self._read < min(position, size):
            start = self._read
            end = text.find("\n", start)
            end = size if end < 0 else end
            if self._inside_line and start == self._at and self._block.fence is None:
                line = Line(start, end, Kind.TEXT, self._block, self._block)
            else:
                line = read_line(text, start, end, self._block)
            self._lines.append(line)
            self._starts.append(start)
            self._block = line.after
            self._read = end + 1

    def _line_at(self, cut: int) -> Line | None:
        """The line that holds the character before ``cut``, read no further than the cut."""
        self._read_to(cut)
        index = bisect_left(self._starts, cut) - 1
        if index < 0:
            return None
        line = self._lines[index]
        if cut >= line.end:
            return line
        if self._inside_line and index == 0:
            return line
        return read_line(self._text, line.start, cut, line.before)

    def block_at(self, cut: int) -> Block:
        """What is open at a cut: the state with which the next page begins."""
        line = self._line_at(cut)
        if line is None:
            return self._block
        if cut > line.end or line.after.fence is not None:
            return line.after
        block = line.after
        return replace(block, paragraph=cut, marks=self._marks_at(block, cut)) if block.paragraph >= 0 else block

    def _marks_at(self, block: Block, cut: int) -> tuple[str, ...]:
        if block.paragraph < 0:
            return ()
        return read_inline(self._text, block.paragraph, cut, block.marks).marks

    # -- how the page begins

    def _open(self) -> _Opening:
        text, block = self._text, self._block
        if self._inside_line:
            return self._open_inside_line(block)
        while True:
            at = self._read
            self._read_to(at + 1)
            if self._read == at or not self._lines:
                return _Opening(len(text), "", 0)
            line = self._lines[-1]
            dropped = line.kind is Kind.BLANK or (line.kind is Kind.FENCE_CLOSE and line.start == self._at)
            if not dropped:
                return self._open_at_line(line)

    def _open_inside_line(self, block: Block) -> _Opening:
        text, at = self._text, self._at
        if block.fence is not None:
            prefix = block.fence.opening() + block.fence.quote
            return _Opening(at, self._affordable(prefix), block.fence.indent)
        while at < len(text) and text[at] in " \t":
            at += 1
        dedent = block.items[-1].offset if block.items else 0
        return _Opening(at, self._affordable(block.quote + "".join(self._lasting(block))), dedent)

    def _open_at_line(self, line: Line) -> _Opening:
        block, start = line.before, line.start
        if block.fence is not None and line.kind is Kind.CODE:
            return _Opening(start, self._affordable(block.fence.opening()), block.fence.indent)
        quote, spaces, content = prefix_of(self._text, start, line.end)
        dedent = indent_of(spaces) if line.kind is not Kind.CODE else 0
        if line.kind is Kind.TABLE_ROW:
            header = block.header if not dedent else re.sub(r"(?m)^[ \t]+", "", block.header)
            return _Opening(start, self._affordable(header), dedent)
        if line.kind is Kind.TEXT and 0 <= line.after.paragraph < start:
            marks = "".join(self._lasting(block))
            lead = quote or block.quote
            return _Opening(content, self._affordable(lead + marks), dedent)
        return _Opening(start, "", dedent)

    def _affordable(self, repeated: str) -> str:
        """Nothing where what is to be repeated would take more than a third of every page."""
        return repeated if len(repeated) * 3 <= self._limit else ""

    def _lasting(self, block: Block) -> tuple[str, ...]:
        """The marks open at the cut, less those that turn out never to close in their paragraph."""
        marks = self._marks_at(block, self._at) if block.paragraph != self._at else block.marks
        if not marks:
            return ()
        self._read_to(self._at + self._limit)
        end = self._at
        for line in self._lines:
            if line.start > self._at and (line.kind is not Kind.TEXT or line.before.paragraph < 0):
                left = read_inline(self._text, self._at, end, marks).marks
                return marks[: len(marks) - len(left)] if left == marks[: len(left)] else marks
            end = line.end
        return marks

    # -- what is shown of it

    def shown(self, cut: int) -> str:
        """The page as it is when cut there: opened, balanced, without blank ends."""
        opening = self._opening
        if cut <= opening.start:
            return ""
        line = self._line_at(cut)
        assert line is not None  # the cut is past the page's first character
        if cut == len(self._text):
            cut = self._decided(line, cut)
            line = self._line_at(cut)
        if line is None or cut <= opening.start:
            return ""
        body = self._body(cut)
        fence = line.after.fence
        if fence is not None:
            body = body.removesuffix("\n")
            return f"{opening.prefix}{body}{self._affordable(fence.closing())}" if body.strip() else ""
        body = body.rstrip()
        if not body:
            return ""
        marks = self._marks_at(line.after, cut) if line.after.paragraph >= 0 else ()
        return f"{opening.prefix}{body}{self._affordable(''.join(reversed(marks)))}"

    def _decided(self, line: Line, cut: int) -> int:
        """Before a last line that may yet become a fence, or has just opened one."""
        fence = line.after.fence
        if line.kind is Kind.FENCE_OPEN and fence is not None and _LANGUAGE.fullmatch(fence.info):
            return line.start
        if line.kind is not Kind.FENCE_CLOSE and _UNDECIDED.match(self._text, line.start, cut):
            return line.start
        return cut

    def _body(self, cut: int) -> str:
        """``text[start:cut]``, its first lines moved left, its lists counting on from the page before."""
        start, dedent = self._opening.start, self._opening.dedent
        counts = bool(self._lines) and any(item.number is not None for item in self._lines[0].before.items)
        if not dedent and not counts:
            return self._text[start:cut]
        out: list[str] = []
        for line in self._lines:
            end = min(line.end + 1, cut)
            if end <= start or line.start >= cut:
                continue
            if line.start < start or (self._inside_line and line.start == self._at):
                out.append(self._text[start:end])
                continue
            shown, dedent = moved(self._text, line, end, dedent)
            out.append(counted(shown, line, self._at) if counts else shown)
        return "".join(out)

    # -- where it ends

    def is_last(self) -> bool:
        """Whether all of the text from here fits into this page."""
        size = len(self._text) - self._opening.start
        if size <= 0:
            return True
        if size * 4 <= self._limit and "|" not in self._text:  # whatever the formatting makes of it
            return True
        return size <= self._limit * _MAX_SOURCE and self._fits(len(self._text))

    def _fits(self, cut: int) -> bool:
        return self._length(cut) <= self._limit

    def _length(self, cut: int) -> int:
        if cut not in self._lengths:
            shown = self.shown(cut)
            self._lengths[cut] = self._measure(shown) if shown else 0
        return self._lengths[cut]

    def cut(self) -> int:
        """Where the page ends best. Only for a page that is not the last."""
        first = max(self._opening.start, self._at)
        reach = self._reach(first)
        for _ in range(_ROUNDS):
            cut = self._best(first, reach)
            if self._fits(cut):
                return cut
            reach = first + max(1, min(reach - first - 1, (reach - first) * self._limit // self._length(cut)))
        return self._largest(first, reach)

    def _largest(self, first: int, reach: int) -> int:
        """The most characters that fit, when no good place was found; at least one."""
        low, high = first + 1, max(first + 1, reach)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._fits(middle) else (low, middle - 1)
        return low

    def _reach(self, first: int) -> int:
        """About the most text that fits, found in few measurements: first as if nothing were formatted."""
        text, limit = self._text, self._limit
        most = min(len(text) - 1, first + limit * _MAX_SOURCE)
        room = text[first : first + limit].encode("utf-16-le", "surrogatepass")[: 2 * limit]
        reach = min(most, first + len(room.decode("utf-16-le", "ignore")))
        best = first + 1
        for _ in range(_ROUNDS):
            length = self._length(reach)
            if length > limit:
                reach = first + min(reach - first - 1, (reach - first) * limit // length)
                if reach <= best:
                    break
                continue
            best = max(best, reach)
            spare = limit - length
            if spare <= limit // 16 or reach == most:
                break
            reach = min(most, reach + spare)
        return best

    def _best(self, first: int, reach: int) -> int:
        """The best place to cut in ``text[first:reach]``, seeing one character more."""
        self._read_to(reach + 1)
        half = first + (reach - first) // 2
        line_cut = 0
        for line in reversed(self._lines):
            start, before = line.start, line.before
            if start > reach or start <= first or self._is_orphan(line):
                continue
            in_rows = before.fence is not None or before.last in (Kind.TABLE_HEAD, Kind.TABLE_ROW)
            if start < half and not in_rows:
                break
            if self._is_paragraph(line, reach) and start >= half:
                return start
            if not line_cut and self._is_whole(line, reach):
                line_cut = start
        return line_cut or self._inside(first, reach, half)

    def _is_orphan(self, line: Line) -> bool:
        """Whether a cut before this line would leave a heading or a table's header behind, or nothing at all."""
        before = line.before
        if before.last in _ORPHANS or line.kind is Kind.TABLE_HEAD:
            return True
        return not self._text[self._opening.start : line.start].strip()

    def _is_paragraph(self, line: Line, reach: int) -> bool:
        if line.before.fence is not None or line.kind is Kind.BLANK:
            return False
        if line.before.after_blank or line.before.last is Kind.FENCE_CLOSE:
            return True
        kind = line.kind if line.end <= reach else self._kind_to(line, reach + 1)
        return kind in _OWN_BLOCK and not (kind is Kind.ITEM and line.before.items)

    def _kind_to(self, line: Line, end: int) -> Kind:
        return read_line(self._text, line.start, min(end, line.end), line.before).kind

    def _is_whole(self, line: Line, reach: int) -> bool:
        """A cut before this line goes through no code span or link that runs over lines."""
        block = line.before
        if block.fence is not None or block.paragraph < 0:
            return True
        return read_inline(self._text, block.paragraph, reach, block.marks).whole(line.start)

    def _inside(self, first: int, reach: int, half: int) -> int:
        """The best place inside a line."""
        text = self._text
        line = self._line_at(reach)
        assert line is not None  # there is text before reach
        lowest = max(first, line.start)
        if line.after.fence is not None or line.after.paragraph < 0:
            return boundary_before(text, reach, lowest + 1)
        quarter = first + (reach - first) // 4
        inline = read_inline(text, line.after.paragraph, reach, line.after.marks)
        for pattern, floor in ((_SENTENCE, half), (_WORD, quarter)):
            places = [m.end() for m in pattern.finditer(text, max(floor, lowest + 1), reach + 1)]
            for place in reversed(places):
                if lowest < place <= reach and inline.whole(place) and not _BLOCK_START.match(text, place, reach + 1):
                    return place
        straddling = [span for span in inline.spans if span[0] < reach < span[1]]
        if straddling:
            start = straddling[0][0]
            floor = quarter if text[start] == "`" else lowest
            if start > floor and text[first:start].strip():
                return start
        return boundary_before(text, reach, max(lowest, quarter) + 1)
