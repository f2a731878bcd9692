"""Rich messages as the Bot API server reads their HTML: which tags may stand where, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from tests.platforms.telegram_text import Json, wrong

MAX_CHARACTERS, MAX_BLOCKS, MAX_DEPTH, MAX_COLUMNS = 32_768, 500, 16, 20
_INLINE = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "mark", "sub", "sup", "code", "tg-spoiler", "a"}
_FORMULAS = {"tg-math", "tg-math-block"}
_TEXTUAL = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "footer", "summary", "th", "td", "cite", "aside"}
"""Hold text, and no blocks."""
_CONTAINERS = {"", "blockquote", "details", "li"}
"""Hold blocks; the message itself is the first."""
_BLOCKS = {*_TEXTUAL, *_CONTAINERS, "pre", "ul", "ol", "table", "tr", "hr", "tg-math-block"} - {
    "",
    "th",
    "td",
    "summary",
}
_VOID = {"hr", "br", "input"}
_WITHIN = {
    "li": {"ul", "ol"}, "tr": {"table"}, "th": {"tr"}, "td": {"tr"}, "summary": {"details"}, "input": {"li"},
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href"}, "code": {"class"}, "ol": {"start"}, "input": {"type", "checked"}, "table": {"bordered", "striped"},
    "th": {"align"}, "td": {"align"}, "details": {"open"}, "tg-spoiler": set[str](),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rich:
    """The content of a rich message: as it was given, and what is to be read in it."""

    html: str
    text: str


def read(message: Json) -> Rich:
    """An ``InputRichMessage`` that is HTML; raises Refusal."""
    reader = _Reader()
    reader.feed(message["html"])
    reader.close()
    if reader.tags:
        raise wrong(f"can't parse rich message: <{reader.tags[-1]}> is not closed")
    text = "".join(reader.text)
    if not text.strip():
        raise wrong("rich message must be non-empty")
    if len(text) > MAX_CHARACTERS or reader.blocks > MAX_BLOCKS or reader.deepest > MAX_DEPTH:
        raise wrong("RICH_MESSAGE_TOO_LONG")
    if reader.columns > MAX_COLUMNS:
        raise wrong("RICH_MESSAGE_TABLE_TOO_WIDE")
    return Rich(message["html"], text)


@dataclass
class _Reader(HTMLParser):
    tags: list[str] = field(default_factory=list[str])
    text: list[str] = field(default_factory=list[str])
    blocks: int = 0
    deepest: int = 0
    columns: int = 0
    column: int = 0

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @property
    def _around(self) -> str:
        """The nearest tag that is no formatting."""
        return next((tag for tag in reversed(self.tags) if tag not in _INLINE), "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _BLOCKS | _INLINE | _FORMULAS | _VOID | {"th", "td", "summary"}:
            raise wrong(f"can't parse rich message: unsupported start tag {tag!r}")
        if extra := {name for name, _ in attrs} - _ATTRIBUTES.get(tag, set()):
            raise wrong(f"can't parse rich message: {tag} has no attributes {sorted(extra)}")
        if self._around not in _WITHIN.get(tag, {self._around}):
            raise wrong(f"can't parse rich message: {tag} inside {self._around!r}")
        if tag in _BLOCKS and tag not in _WITHIN and self._around not in _CONTAINERS:
            raise wrong(f"can't parse rich message: {tag} inside {self._around!r}")
        if self._around in ("ul", "ol", "table", "tr") and tag not in _WITHIN:
            raise wrong(f"can't parse rich message: {tag} inside {self._around!r}")
        if tag == "a" and not str(dict(attrs).get("href")).startswith(("http://", "https://")):
            raise wrong("can't parse rich message: wrong link")
        self._count(tag)
        if tag not in _VOID:
            self.tags.append(tag)
            self.deepest = max(self.deepest, len(self.tags))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            raise wrong(f"can't parse rich message: {tag} closes itself")
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.tags or self.tags.pop() != tag:
            raise wrong(f"can't parse rich message: unmatched end tag {tag!r}")

    def handle_data(self, data: str) -> None:
        if self._around in ("ul", "ol", "table", "tr") and data.strip():
            raise wrong(f"can't parse rich message: text inside {self._around!r}")
        self.text.append(data)

    def _count(self, tag: str) -> None:
        self.blocks += tag in _BLOCKS
        self.column = {"tr": 0, "th": self.column + 1, "td": self.column + 1}.get(tag, self.column)
        self.columns = max(self.columns, self.column)
        if tag == "br" or (tag in _BLOCKS and "".join(self.text[-1:])):
            self.text.append("\n")
