"""What is read of a document by its form, in a process of its own: ``python -m core.document_forms FORM PAGES CHARS``.

The file comes on the standard input, and one JSON object goes out: ``text``, ``pages`` (in all; 0 where there are
none), ``cut`` (whether more was left), or ``problem``, a key of a sentence. Parsers of such forms have been made to
loop or to eat memory by files, so the process limits itself before it reads, and :mod:`core.documents` kills it when
it is late.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from html.parser import HTMLParser
from xml.etree import ElementTree

MEMORY_BYTES = 600_000_000
CPU_SECONDS = 25
MAX_XML_BYTES = 50_000_000
"""Of a document's text part, unpacked."""
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SILENT = frozenset(("script", "style", "template", "noscript", "svg", "head"))
_BLOCKS = frozenset(
    ("p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "pre", "table", "ul", "ol")
)


class Unreadable(Exception):
    """The argument is the key of a sentence."""


@dataclass(frozen=True, slots=True)
class Extract:
    """The text of a document, or of its beginning."""

    text: str
    pages: int = 0
    cut: bool = False


def read(form: str, data: bytes, max_pages: int, max_chars: int) -> Extract:
    """Raises Unreadable."""
    try:
        extract = _FORMS[form](data, max_pages, max_chars)
    except Unreadable:
        raise
    except Exception as error:
        # A damaged file makes parsers raise nearly anything.
        raise Unreadable("document_broken") from error
    text = _tidy(extract.text)
    if not text:
        raise Unreadable("document_scanned" if form == "pdf" else "document_empty")
    return Extract(text[:max_chars], extract.pages, extract.cut or len(text) > max_chars)


def _pdf(data: bytes, max_pages: int, max_chars: int) -> Extract:
    from pypdf import PasswordType, PdfReader
    from pypdf.errors import DependencyError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = PdfReader(io.BytesIO(data))
    try:
        # Many files ask for no password, but say what may not be done with them.
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise Unreadable("document_locked")
    except DependencyError:
        raise Unreadable("document_locked") from None
    total = len(reader.pages)
    texts: list[str] = []
    chars = 0
    for number in range(min(total, max_pages)):
        if chars > max_chars:
            return Extract("\n\n".join(texts), total, cut=True)
        texts.append(reader.pages[number].extract_text())
        chars += len(texts[-1])
    return Extract("\n\n".join(texts).strip(), total, cut=total > max_pages)


def _docx(data: bytes, _pages: int, max_chars: int) -> Extract:
    with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("word/document.xml") as part:
        xml = part.read(MAX_XML_BYTES + 1)
    if len(xml) > MAX_XML_BYTES or b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        # The form has no use for either; entities are how small files become large ones.
        raise Unreadable("document_broken")
    lines: list[str] = []
    chars = 0
    for paragraph in ElementTree.fromstring(xml).iter(f"{_WORD}p"):  # noqa: S314 (no entities, see above)
        pieces = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n"}
        line = "".join(
            (node.text or "") if node.tag == f"{_WORD}t" else pieces.get(node.tag, "") for node in paragraph.iter()
        )
        lines.append(line)
        chars += len(line) + 1
        if chars > max_chars:
            break
    return Extract("\n".join(lines))


class _Words(HTMLParser):
    """What a browser would show, roughly."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in _SILENT
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT and self.silent:
            self.silent -= 1
        elif tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.pieces.append(re.sub(r"\s+", " ", data))


def _html(data: bytes, _pages: int, _chars: int) -> Extract:
    words = _Words()
    words.feed(plain_text(data))
    words.close()
    return Extract("".join(words.pieces))


_FORMS: Mapping[str, Callable[[bytes, int, int], Extract]] = {"pdf": _pdf, "docx": _docx, "html": _html}


def plain_text(data: bytes) -> str:
    """Bytes as text. Raises Unreadable for what is none."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Old Western files are nearly all ASCII; others are most likely Chinese, to those who are likely to be here.
        strange = sum(byte > 127 for byte in data[:4000])
        text = data.decode("cp1252" if strange < len(data[:4000]) * 0.3 else "gb18030", "replace")
    if "\0" in text[:4000]:
        raise Unreadable("file_unsupported")
    return text


def _tidy(text: str) -> str:
    """Fit for every wire, without runs of blank lines."""
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r"\n[ \t]*(\n[ \t]*){2,}", "\n\n", without_controls(text)).strip()


def without_controls(text: str) -> str:
    """Without control characters; every line ends in the same way."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", text.replace("\r\n", "\n").replace("\r", "\n"))


def confine() -> None:
    """Limits of the system's for this process, where it has them."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):
            # macOS knows no limit of memory; the parent's clock holds there as well.
            continue


def main() -> None:
    form, pages, chars = sys.argv[1:4]
    confine()
    data = sys.stdin.buffer.read()
    answer: dict[str, object]
    try:
        answer = asdict(read(form, data, int(pages), int(chars)))
    except Unreadable as problem:
        answer = {"problem": str(problem)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
