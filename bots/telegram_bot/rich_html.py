"""Markdown to the HTML of Telegram's rich messages (Bot API 10.1), which show headings, tables, task lists and math.

The HTML is built from the parser's events, everything in it escaped and everything opened closed, so it cannot fail
to parse. Pictures stay links: the server would fetch them, from wherever a model says.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bots.telegram_bot import details, utf16
from bots.telegram_bot.tidy import Event, parsed, tidy

MAX_CHARACTERS = 32_768
"""Of the text, formulas among it; this and the next three are limits of the Bot API."""
MAX_BLOCKS = 500
"""Nested ones, list items and table rows count too."""
MAX_DEPTH = 16
"""Blocks and formatting within each other."""
MAX_COLUMNS = 20
"""Of a table."""
_HINTS = re.compile(
    r"^[ >]*#{1,6}\s|^ {0,3}(?:[-*_] *){3,}$|^[ >]*\|?[ :]*-+[ :]*\|[-| :]*$|^[ >]*(?:[-*+]|\d+[.)])\s+\[[ xX]\]\s"
    r"|^(?: {2}|\t)[ \t]*(?:[-*+]|\d+[.)])\s|^ {0,3}=+ *$|^ {0,3}<details|\$|\\[\[(]",
    re.MULTILINE | re.IGNORECASE,
)
_WEB = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_SPOILER = re.compile(r"\|\|(?=\S)(.+?)(?<=\S)\|\|")
_ADDRESS = re.compile(r"https?://[^\s<>\"'|*`]*[^\s<>\"'|*`.,;:!?)\]}。，、；：！？）]", re.IGNORECASE)
_TEX = re.compile(rb"\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
_LANGUAGE = re.compile(r"[\w+#.-]{1,40}")
_STYLES = {"Strong": "b", "Emphasis": "i", "Strikethrough": "s"}


@dataclass(frozen=True, slots=True)
class Rich:
    """A text as HTML for Telegram."""

    html: str
    text: str
    """What is to be read in it."""
    shows_more: bool
    """It has something that text with entities cannot show."""

    @property
    def length(self) -> int:
        """In UTF-16 units, which are never fewer than the characters that the server counts."""
        return utf16.length(self.text)


def may_show_more(markdown: str) -> bool:
    """Whether it is worth a look: false only for what has nothing that needs a rich message."""
    return _HINTS.search(markdown) is not None


def render(markdown: str) -> Rich | None:
    """``markdown`` as a rich message; None where it goes over a limit or holds nothing.

    Raises what the parser raises.
    """
    source = tidy(details.marked(_with_dollars(markdown)))
    writer = _Writer(source.encode("utf-8"))
    writer.write(parsed(source))
    rich = Rich("".join(writer.out), "".join(writer.text).strip(), writer.shows_more)
    fits = writer.blocks <= MAX_BLOCKS and writer.deepest <= MAX_DEPTH and writer.columns <= MAX_COLUMNS
    return rich if fits and rich.text and rich.length <= MAX_CHARACTERS else None


def _with_dollars(markdown: str) -> str:
    r"""Formulas written as ``\(x\)`` and ``\[x\]`` in the way that the parser knows."""
    source = markdown.encode("utf-8")
    if not _TEX.search(source):
        return markdown
    code = [
        (e.start, e.end) for e in parsed(markdown) if e.kind == "Code" or (e.kind == "Start" and e.tag == "CodeBlock")
    ]

    def formula(match: re.Match[bytes]) -> bytes:
        if any(start <= match.start() < end for start, end in code):
            return match[0]
        return b"$$" + match[1].strip() + b"$$" if match[1] else b"$" + match[2].strip() + b"$"

    return _TEX.sub(formula, source).decode("utf-8")


@dataclass(slots=True)
class _Writer:
    """Writes events as HTML, and counts what the server limits."""

    source: bytes
    out: list[str] = field(default_factory=list[str])
    text: list[str] = field(default_factory=list[str])
    blocks: int = 0
    deepest: int = 0
    columns: int = 0
    shows_more: bool = False
    _open: list[str] = field(default_factory=list[str])
    """Tags to close, outermost first; empty ones stand for what is not shown."""
    _words: list[str] = field(default_factory=list[str])
    """Of one run of text, which the parser cuts at every sign that might have been a mark."""
    _alignments: Sequence[str] = ()
    _column: int = 0
    _cell: str = ""
    _lists: int = 0
    _in_code: bool = False
    _links: int = 0
    _wants_summary: bool = False
    """A part that can be collapsed has been opened, and nothing in it yet."""

    def write(self, events: Sequence[Event]) -> None:
        skip = 0
        for index, event in enumerate(events):
            if index < skip:
                continue
            if event.kind == "Text":
                self._words.append(event.value)
                continue
            self._flush()
            if event.kind == "Start" and event.tag == "Paragraph":
                skip = self._mark(events, index)
                if skip:
                    continue
            self._event(event)
            if self.blocks > MAX_BLOCKS:
                return  # what is over the limit is not looked at
        self._flush()
        while self._open:
            self._end()

    # ---- events

    def _event(self, event: Event) -> None:
        match event.kind:
            case "Start":
                self._started(event)
            case "End":
                self._ended(event)
            case "Code":
                self._put(f"<code>{html.escape(event.value, quote=False)}</code>", event.value)
            case "InlineMath" | "DisplayMath":
                self._formula(event)
            case "SoftBreak" | "HardBreak":
                self._put("<br/>", "\n")
            case "Rule":
                self.shows_more = True
                self._block()
                self.out.append("<hr/>")
            case "TaskListMarker":
                self.shows_more = True
                box = '<input type="checkbox" checked>' if event.value else '<input type="checkbox">'
                # The item's, also where its text is a paragraph or a heading.
                self.out.insert(len(self.out) - self.out[::-1].index("<li>"), box)
            case _:  # HTML that is left has no meaning here, and no text
                return

    def _started(self, event: Event) -> None:
        match event.tag:
            case "Paragraph":
                self._begin("p")
            case "Heading":
                self.shows_more = True
                self._begin(f"h{event.value['Heading']['level'][1:]}")
            case "BlockQuote":
                self._begin("blockquote")
            case "List":
                self._lists += 1
                self.shows_more = self.shows_more or self._lists > 1
                first: int | None = event.value["List"]
                self._begin("ul" if first is None else "ol", "" if first is None else f' start="{first}"')
            case "Item":
                self.blocks += 1  # the item's own paragraph
                self._begin("li")
            case "CodeBlock":
                self._in_code = True
                self._begin_code(event.value["CodeBlock"])
            case "Table":
                self.shows_more = True
                self._alignments = event.value["Table"]
                self._begin("table", " bordered")
            case "TableHead" | "TableRow":
                self._column, self._cell = 0, "th" if event.tag == "TableHead" else "td"
                self._begin("tr")
            case "TableCell":
                self._begin_cell()
            case "Link" | "Image":
                self._begin_link(str(event.value[event.tag]["dest_url"]))
            case "Strikethrough" if not self._is_struck(event):
                self._words.append("~")
                self._open.append("~")
            case tag:
                self._begin_inline(_STYLES.get(tag, ""))

    def _ended(self, event: Event) -> None:
        match event.tag:
            case "List":
                self._lists -= 1
            case "CodeBlock":
                self._in_code = False
            case "Link" | "Image":
                self._links -= 1
            case _:
                pass
        self._end()

    def _is_struck(self, event: Event) -> bool:
        """Two tildes strike through; one means "about"."""
        return self.source[event.start + 1 : event.start + 2] == b"~"

    def _formula(self, event: Event) -> None:
        if event.kind == "InlineMath" and self.source[event.end : event.end + 1].isdigit():
            # Two prices.
            self._put(html.escape(f"${event.value}$", quote=False), f"${event.value}$")
            return
        self.shows_more = True
        formula = html.escape(event.value.strip(), quote=False)
        if event.kind == "DisplayMath" and self._open[-1:] == ["p"]:
            self._end()
            self._block()
            self.out.append(f"<tg-math-block>{formula}</tg-math-block>")
            self.text.append(event.value)
            self._begin("p")
        else:
            self._put(f"<tg-math>{formula}</tg-math>", event.value)

    # ---- collapsible parts

    def _mark(self, events: Sequence[Event], start: int) -> int:
        """Handles a paragraph that stands for a tag of ``details``; the index of the first event after what it took."""
        after = events[start + 1]
        mark = after.value[:1] if after.kind == "Text" else ""
        if mark not in (details.OPEN, details.SUMMARY, details.CLOSE) or set(self._open) - {"details"}:
            return 0
        if mark == details.OPEN:
            self.shows_more = True
            self._begin("details")
            self._wants_summary = True
            return start + 3
        if mark == details.CLOSE:
            if self._open:
                self._summarise()
                self._end()
            return start + 3
        wanted, self._wants_summary = self._wants_summary, False
        self._begin("summary" if wanted else "p")
        self._words.append(after.value[1:])
        return start + 2

    def _summarise(self) -> None:
        """A part without a summary gets one, which Telegram asks for."""
        if self._wants_summary:
            self._wants_summary = False
            self.out.append("<summary>…</summary>")

    # ---- writing

    def _flush(self) -> None:
        """The run of text so far."""
        words, self._words = "".join(self._words), []
        if not words:
            return
        if self._in_code:
            words = words.removesuffix("\n")
            self._put(html.escape(words, quote=False), words)
        elif self._links:
            self._put(_escaped(words), words)
        else:
            self._put(_linked(words), words)

    def _put(self, code: str, text: str) -> None:
        self._summarise()
        self.out.append(code)
        self.text.append(text)

    def _block(self) -> None:
        self._summarise()
        self.blocks += 1
        if self.text:
            self.text.append("\n")

    def _begin(self, tag: str, attributes: str = "") -> None:
        if tag != "summary":
            self._block()
        self._begin_inline(tag, attributes)

    def _begin_inline(self, tag: str, attributes: str = "") -> None:
        self._open.append(tag)
        self.deepest = max(self.deepest, len(self._open))
        if tag:
            self.out.append(f"<{tag}{attributes}>")

    def _begin_code(self, kind: str | dict[str, str]) -> None:
        info = kind.get("Fenced", "") if isinstance(kind, dict) else ""
        language = _LANGUAGE.match(info)
        self._begin("pre")
        if language:
            self.out.append(f'<code class="language-{html.escape(language[0])}">')
            self._open[-1] = "code></pre"

    def _begin_cell(self) -> None:
        align = str(self._alignments[self._column]).lower() if self._column < len(self._alignments) else ""
        self._column += 1
        self.columns = max(self.columns, self._column)
        self._begin_inline(self._cell, f' align="{align}"' if align in ("left", "center", "right") else "")
        self.text.append(" ")

    def _begin_link(self, url: str) -> None:
        """Links only to the web: ``tg://user`` pings people, other schemes are dangerous or refused."""
        allowed = not self._links and _WEB.match(url)
        self._links += 1
        self._begin_inline("a" if allowed else "", f' href="{html.escape(url)}"' if allowed else "")

    def _end(self) -> None:
        tag = self._open.pop()
        if tag == "~":
            self._words.append(tag)
        elif tag == "p" and self.out[-1] == "<p>":
            self.out.pop()
        elif tag:
            self.out.append(f"</{tag}>")


def _escaped(text: str) -> str:
    return _SPOILER.sub(r"<tg-spoiler>\1</tg-spoiler>", html.escape(text, quote=False))


def _linked(text: str) -> str:
    """Escaped, its web addresses made links: the server is told to look for nothing by itself, so that nobody is
    mentioned."""
    if "://" not in text:
        return _escaped(text)
    out: list[str] = []
    at = 0
    for match in _ADDRESS.finditer(text):
        out.append(_escaped(text[at : match.start()]))
        out.append(f'<a href="{html.escape(match[0])}">{html.escape(match[0], quote=False)}</a>')
        at = match.end()
    return "".join((*out, _escaped(text[at:])))
