"""A parser for each form of document. To be run in a process of its own (``core/document_forms.py``): what people send
has been made to loop, or to eat memory. No parser fetches anything, and none runs what it reads."""

from __future__ import annotations

import csv
import io
import logging
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.etree import ElementTree

from core.document_text import Block, Parsed, Unreadable, plain_text
from core.markup import Tag, read_markup

if TYPE_CHECKING:
    from pypdf import PdfReader

MAX_XML_BYTES = 50_000_000
"""Of an archive's parts that are read, unpacked, all together."""
MOST_PAGES = 20_000
"""A PDF that says it has more is not read: walking through its pages alone takes longer than the process may."""
MOST_PARTS = 5000
"""Files of an e-book."""
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SILENT = frozenset(("script", "style", "template", "noscript", "svg", "math", "head", "nav", "iframe", "object"))
_BLOCKS = frozenset(
    ("p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "pre", "table", "ul", "ol")
) | {"text", "desc", "dt", "dd", "blockquote", "td", "th", "figcaption"}
_HEADING = re.compile(r"h([1-6])")


def parse_pdf(data: bytes, max_pages: int, max_chars: int) -> Parsed:
    from pypdf import PasswordType, PdfReader
    from pypdf.errors import DependencyError, LimitReachedError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = PdfReader(io.BytesIO(data))
    try:
        # Many files ask for no password, but say what may not be done with them.
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise Unreadable("document_locked")
    except DependencyError:
        raise Unreadable("document_locked") from None
    if _told_pages(reader) > MOST_PAGES:
        raise Unreadable("document_endless")
    try:
        total = len(reader.pages)
    except LimitReachedError:
        raise Unreadable("document_endless") from None
    blocks: list[Block] = []
    chars = 0
    for number in range(min(total, max_pages)):
        if chars > max_chars:
            return Parsed(blocks, "\n\n", total, cut=True, title=_title_of(reader))
        blocks.append(Block(reader.pages[number].extract_text(), number + 1))
        chars += len(blocks[-1].text)
    return Parsed(blocks, "\n\n", total, total > max_pages, _title_of(reader))


def _told_pages(reader: PdfReader) -> int:
    try:
        return int(reader.root_object["/Pages"]["/Count"])  # type: ignore[index]
    except Exception:
        return 0


def _title_of(reader: PdfReader) -> str:
    try:
        title = (reader.metadata.title if reader.metadata else None) or ""
    except Exception:
        return ""
    # What word processors write there by themselves is no title.
    return "" if re.match(r"(?i)microsoft word|untitled|\S+\.\w{2,4}$", title) else title


def parse_docx(data: bytes, _pages: int, max_chars: int) -> Parsed:
    with _archive(data) as archive:
        room = _Room()
        document = room.xml(archive, "word/document.xml")
        levels = _levels(room.xml(archive, "word/styles.xml")) if "word/styles.xml" in archive.namelist() else {}
        title = ""
        if "docProps/core.xml" in archive.namelist():
            title = _first(room.xml(archive, "docProps/core.xml"), "title")
    return Parsed(list(_paragraphs(document, levels, max_chars)), title=title)


def _paragraphs(document: ElementTree.Element, levels: Mapping[str, int], max_chars: int) -> Iterator[Block]:
    """In one pass, however deep they stand in each other: a text box is a paragraph within one."""
    breaks = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n"}
    line: list[str] = []
    level, chars = 0, 0
    for node in document.iter():
        if node.tag == f"{_WORD}p":
            yield Block("".join(line), 0, level)
            line.clear()
            style = node.find(f"{_WORD}pPr/{_WORD}pStyle")
            level = levels.get(style.get(f"{_WORD}val", ""), 0) if style is not None else 0
            chars += 1
        elif said := (node.text or "") if node.tag == f"{_WORD}t" else breaks.get(node.tag, ""):
            line.append(said)
            chars += len(said)
        if chars > max_chars:
            break
    yield Block("".join(line), 0, level)


def _levels(styles: ElementTree.Element) -> dict[str, int]:
    """Which styles are headings: their ids are translated, their names are not."""
    levels: dict[str, int] = {}
    for style in styles.iter(f"{_WORD}style"):
        name = style.find(f"{_WORD}name")
        named = "" if name is None else name.get(f"{_WORD}val", "").lower()
        if found := re.fullmatch(r"heading ([1-6])|(title)", named):
            levels[style.get(f"{_WORD}styleId", "")] = int(found[1] or 1)
    return levels


def parse_epub(data: bytes, _pages: int, max_chars: int) -> Parsed:
    room = _Room()
    with _archive(data) as archive:
        names = set(archive.namelist())
        root = next(
            (node for node in room.xml(archive, "META-INF/container.xml").iter() if _is(node, "rootfile")), None
        )
        if root is None or (book := root.get("full-path", "")) not in names:
            raise Unreadable("document_broken")
        package = room.xml(archive, book)
        files = {node.get("id"): node.get("href", "") for node in package.iter() if _is(node, "item")}
        order = [files.get(node.get("idref"), "") for node in package.iter() if _is(node, "itemref")]
        paths = [posixpath.normpath(posixpath.join(posixpath.dirname(book), unquote(href))) for href in order if href]
        locked = b""
        if "META-INF/encryption.xml" in names:
            locked = room.read(archive, "META-INF/encryption.xml")
        blocks: list[Block] = []
        chars = 0
        for path in paths[:MOST_PARTS]:
            if path.encode() in locked:
                raise Unreadable("document_locked")
            if path not in names:
                continue
            chapter = parse_html(room.read(archive, path), 0, max_chars).blocks
            blocks += [*chapter, Block("\n\n")]
            chars += sum(len(block.text) for block in chapter)
            if chars > max_chars:
                break
    return Parsed(blocks, "", title=_first(package, "title"))


def _is(node: ElementTree.Element, name: str) -> bool:
    return node.tag.rpartition("}")[2] == name


def _first(root: ElementTree.Element, name: str) -> str:
    return next((node.text or "" for node in root.iter() if _is(node, name)), "")


def _archive(data: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(data))


class _Room:
    """Reads an archive's parts, as long as they are not too much together, whatever it says of their sizes."""

    def __init__(self) -> None:
        self._left = MAX_XML_BYTES

    def read(self, archive: zipfile.ZipFile, name: str) -> bytes:
        """Raises Unreadable, KeyError, zipfile.BadZipFile."""
        if archive.getinfo(name).flag_bits & 1:
            raise Unreadable("document_locked")
        with archive.open(name) as part:
            read = part.read(self._left + 1)
        self._left -= len(read)
        if self._left < 0:
            raise Unreadable("document_broken")
        return read

    def xml(self, archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
        """Raises Unreadable and what :meth:`read` raises, ElementTree.ParseError."""
        read = self.read(archive, name)
        if b"\0" in read or b"<!DOCTYPE" in read or b"<!ENTITY" in read:
            # The forms have no use for either; entities are how small files become large ones. In UTF-16, which has
            # zeros, they would not be seen here, and no program writes that.
            raise Unreadable("document_broken")
        return ElementTree.fromstring(read)  # noqa: S314 (no entities, see above)


class _Words:
    """What a browser would show, roughly, with its headings."""

    def __init__(self, silent: frozenset[str] = _SILENT) -> None:
        self.blocks: list[Block] = []
        self.title = ""
        self.link = ""
        self._silent_tags = silent
        self._pieces: list[str] = []
        self._silent = 0
        self._is_title = False

    def read(self, markup: str) -> None:
        """Reads a whole page."""
        for found in read_markup(markup):
            if isinstance(found, str):
                self._say(found)
                continue
            if not found.closes:
                self._begin(found)
            if found.closes or found.is_empty:
                self._close(found.name)
        self._end()

    def _begin(self, found: Tag) -> None:
        tag, attributes = found.name, found.attributes
        if tag == "body":
            # Browsers end the head here, whether its end is written or not.
            self._silent = 0
        self._is_title = tag == "title" and not self.title
        if tag == "link" and attributes.get("rel") == "canonical" and not self.link:
            self.link = attributes.get("href", "")
        self._silent += tag in self._silent_tags
        if tag in _BLOCKS:
            self._pieces.append("\n")
        if _HEADING.fullmatch(tag):
            self._end()

    def _close(self, tag: str) -> None:
        self._is_title = False
        if found := _HEADING.fullmatch(tag):
            self._end(int(found[1]))
        if tag in self._silent_tags and self._silent:
            self._silent -= 1
        elif tag in _BLOCKS:
            self._pieces.append("\n")

    def _say(self, data: str) -> None:
        if self._is_title:
            self.title += data
        elif not self._silent:
            self._pieces.append(re.sub(r"\s+", " ", data))

    def _end(self, level: int = 0) -> None:
        if text := "".join(self._pieces):
            self.blocks.append(Block(text, 0, level))
        self._pieces.clear()


def parse_html(data: bytes, _pages: int, _chars: int) -> Parsed:
    return _marked_up(data, _SILENT)


def parse_svg(data: bytes, _pages: int, _chars: int) -> Parsed:
    return _marked_up(data, _SILENT - {"svg"})


def _marked_up(data: bytes, silent: frozenset[str]) -> Parsed:
    words = _Words(silent)
    words.read(plain_text(data))
    return Parsed(words.blocks, "", title=words.title, link=words.link)


def parse_markdown(data: bytes, _pages: int, _chars: int) -> Parsed:
    blocks: list[Block] = []
    lines: list[str] = []
    is_code = False

    def end() -> None:
        if lines:
            blocks.append(Block("\n".join(lines)))
            lines.clear()

    for line in plain_text(data).splitlines():
        is_code ^= line.lstrip().startswith(("```", "~~~"))
        found = None if is_code else re.fullmatch(r" {0,3}(#{1,6})[ \t]+(.{1,300}?)[ \t]*#*", line)
        if found is None:
            lines.append(line)
        else:
            end()
            blocks.append(Block(found[2], 0, len(found[1])))
    end()
    return Parsed(blocks, title=next((block.text for block in blocks if block.level == 1), ""))


def parse_text(data: bytes, _pages: int, _chars: int) -> Parsed:
    return Parsed([Block(plain_text(data))])


def parse_csv(data: bytes, _pages: int, max_chars: int) -> Parsed:
    """Each row with the names of its columns, so that it says by itself what it is about."""
    text = plain_text(data)
    try:
        dialect = csv.Sniffer().sniff(text[:20_000], ",;\t|")
        rows = csv.reader(io.StringIO(text), dialect)
        return Parsed(list(_rows(rows, max_chars)))
    except csv.Error:
        return Parsed([Block(text)])


def _rows(rows: Iterator[list[str]], max_chars: int) -> Iterator[Block]:
    names = [name.strip() for name in next(rows, list[str]())]
    if not _is_head(names):
        yield Block(" · ".join(names))
        names = []
    chars = 0
    for row in rows:
        cells = [(names[at] if at < len(names) else "", cell.strip()) for at, cell in enumerate(row)]
        line = " · ".join(f"{name}: {cell}" if name else cell for name, cell in cells if cell)
        yield Block(" ".join(line.split()))
        if (chars := chars + len(line)) > max_chars:
            return


def _is_head(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names) and all(name and not re.fullmatch(r"[\d.,%$€¥-]+", name) for name in names)


PARSERS: Mapping[str, Callable[[bytes, int, int], Parsed]] = {
    "pdf": parse_pdf,
    "docx": parse_docx,
    "html": parse_html,
    "svg": parse_svg,
    "epub": parse_epub,
    "csv": parse_csv,
    "markdown": parse_markdown,
    "text": parse_text,
}
