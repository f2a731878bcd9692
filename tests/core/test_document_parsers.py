"""Documents with their places: pages, headings and rows, and what hostile files come to."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from core import document_parsers, documents
from core.document_forms import read_pieces
from core.document_text import Piece, Pieces, Unreadable
from core.documents import DocumentError, learned_form
from tests.core.files import pdf

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
BOOK = (
    '<package xmlns:dc="d"><metadata><dc:title>On Bees</dc:title></metadata><manifest>'
    '<item id="b" href="text/two%20b.xhtml"/><item id="a" href="text/one.xhtml"/></manifest>'
    '<spine><itemref idref="a"/><itemref idref="b"/><itemref idref="gone"/></spine></package>'
)


def archive(parts: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return out.getvalue()


def epub(**parts: str | bytes) -> bytes:
    usual = {
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": BOOK,
        "OEBPS/text/one.xhtml": "<!DOCTYPE html><html><body><h1>Hives</h1><p>Bees live in hives.</p></body></html>",
        "OEBPS/text/two b.xhtml": "<html><body><h1>Honey</h1><p>It is sweet.</p></body></html>",
    }
    return archive({**usual, **{name.replace("__", "/"): data for name, data in parts.items()}})


def pieces(form: str, data: bytes | str, pages: int = 100, chars: int = 100_000) -> Pieces:
    return read_pieces(form, data.encode() if isinstance(data, str) else data, pages, chars)


def problem(form: str, data: bytes, **limits: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        pieces(form, data, **limits)
    return str(caught.value)


async def test_pages_of_a_pdf_keep_their_numbers_through_the_process() -> None:
    data = pdf(["First page", "", "Third page"])
    read = await documents.read_pieces(data, "pdf", max_pages=10, max_chars=1000)
    assert read == Pieces((Piece("First page", 1), Piece("Third page", 3)), 3)
    assert pieces("pdf", data, pages=1).cut
    assert pieces("pdf", data, chars=4).pieces == [Piece("Firs", 1)]
    with pytest.raises(DocumentError, match="document_locked"):
        await documents.read_pieces(pdf(["x"], encrypted=True), "pdf", max_pages=1, max_chars=10)


def test_a_pdf_of_a_hundred_thousand_pages_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = pdf(["x"]).replace(b"/Count 1 ", b"/Count 100000 ")
    assert problem("pdf", said) == "document_endless"
    # One that lies about it is read as far as it goes.
    monkeypatch.setattr(document_parsers, "MOST_PAGES", 200_000)
    assert pieces("pdf", said).pages == 1


def test_headings_of_word_are_known_by_their_style_in_any_language() -> None:
    styles = (
        f'<w:styles xmlns:w="{WORD}"><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
        '<w:style w:styleId="b2"><w:name w:val="Heading 2"/></w:style></w:styles>'
    )

    def paragraph(text: str, style: str = "") -> str:
        told = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
        return f"<w:p>{told}<w:r><w:t>{text}</w:t></w:r></w:p>"

    body = paragraph("Regeln", "berschrift1") + paragraph("Tiere", "b2") + paragraph("Hunde an die Leine.")
    document = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    core = '<cp xmlns:dc="d"><dc:title>Hausordnung</dc:title></cp>'
    data = archive({"word/document.xml": document, "word/styles.xml": styles, "docProps/core.xml": core})
    assert pieces("docx", data) == Pieces([Piece("Hunde an die Leine.", 0, "Regeln › Tiere")], title="Hausordnung")


def test_a_page_keeps_its_headings_title_and_address_and_loses_its_machinery() -> None:
    page = (
        "<html><head><title>House &amp; garden</title><link rel=canonical href='/rules'><script>steal()</script>"
        "<body><nav>Home</nav><h1>Ru<br>les</h1><p>Be kind.<script>alert(1)</script></p><h2>Pets</h2>"
        "<p>Dogs on a leash.<svg><script>x()</script><text>drawn</text></svg><img src=x onerror=alert(1)>"
        + "<div>"
        * 3000
    )
    read = pieces("html", page)
    assert read.pieces == [Piece("Be kind.", 0, "Ru les"), Piece("Dogs on a leash.", 0, "Ru les › Pets")]
    assert (read.title, read.link) == ("House & garden", "/rules")


def test_a_drawing_is_read_without_its_scripts() -> None:
    drawing = (
        "<svg><script>evil()</script><title>Plan</title><text>Exit</text><text>Stairs</text><style>a{}</style></svg>"
    )
    assert pieces("svg", drawing).pieces == [Piece("Exit\n\nStairs")]
    assert learned_form("plan.svg", "image/svg+xml") == "svg"


def test_an_e_book_is_read_in_its_order() -> None:
    read = pieces("epub", epub())
    assert read.pieces == [Piece("Bees live in hives.", 0, "Hives"), Piece("It is sweet.", 0, "Honey")]
    assert read.title == "On Bees"


def test_an_e_book_that_is_locked_or_leads_elsewhere_is_refused() -> None:
    locked = '<encryption><CipherReference URI="OEBPS/text/one.xhtml"/></encryption>'
    assert problem("epub", epub(**{"META-INF__encryption.xml": locked})) == "document_locked"
    assert problem("epub", archive({"META-INF/container.xml": CONTAINER})) == "document_broken"
    outside = BOOK.replace("text/one.xhtml", "../../../etc/passwd").replace("text/two%20b.xhtml", "/etc/passwd")
    assert problem("epub", epub(**{"OEBPS__book.opf": outside})) == "document_empty"


@pytest.mark.parametrize("part", ["META-INF/container.xml", "OEBPS/book.opf"])
def test_entities_that_grow_are_not_expanded_however_they_are_written(part: str) -> None:
    laughs = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    assert problem("epub", epub(**{part: laughs})) == "document_broken"
    wide = ('<?xml version="1.0" encoding="utf-16"?>' + laughs).encode("utf-16")
    assert problem("epub", epub(**{part: wide})) == "document_broken"


def test_archives_that_grow_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_parsers, "MAX_XML_BYTES", 20_000)
    # Each part by itself would do; together they are too much.
    many = epub(**{"OEBPS__text__one.xhtml": "<p>" + "a" * 15_000, "OEBPS__text__two b.xhtml": "<p>" + "b" * 15_000})
    assert problem("epub", many) == "document_broken"


def test_rows_say_what_their_columns_are() -> None:
    table = "Name;Price;Note\nTea;3,50;green, hot\nCoffee;4;\n"
    assert pieces("csv", table).pieces == [
        Piece("Name: Tea · Price: 3,50 · Note: green, hot"),
        Piece("Name: Coffee · Price: 4"),
    ]
    assert [one.text for one in pieces("csv", "1,2\n3,4\n").pieces] == ["1 · 2", "3 · 4"]
    assert pieces("csv", 'a,b\n"' + "x" * 200_000).pieces[0].text.startswith("a,b")
    assert [learned_form(name, mime) for name, mime in (("a.tsv", ""), ("x", "text/csv"), ("b.txt", ""))] == [
        "csv",
        "csv",
        "text",
    ]


def test_headings_of_markdown_are_none_within_code() -> None:
    text = "# Guide\nIntro.\n## Install\n```\n# no heading\n```\n## Empty\n## Use\nRun it."
    read = pieces("markdown", text)
    assert read.title == "Guide"
    assert [(one.heading, one.text) for one in read.pieces] == [
        ("Guide", "Intro."),
        ("Guide › Install", "```\n# no heading\n```"),
        ("Guide", "Empty"),
        ("Guide › Use", "Run it."),
    ]


def test_one_line_without_end_and_bytes_of_no_text() -> None:
    read = pieces("text", b"a" * 5_000_000, chars=1000)
    assert (len(read.pieces[0].text), read.cut) == (1000, True)
    assert problem("text", b"\0\0\0") == "file_unsupported"
    assert problem("html", b"<p> </p>") == "document_empty"
    assert pieces("markdown", "# 标题\n你好".encode("gb18030")).pieces == [Piece("你好", 0, "标题")]


def word(body: str) -> bytes:
    names = "".join(f'<w:style w:styleId="h{n}"><w:name w:val="heading {n}"/></w:style>' for n in (1, 2, 3))
    return archive(
        {
            "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
            "word/styles.xml": f'<w:styles xmlns:w="{WORD}">{names}</w:styles>',
        }
    )


def test_long_headings_over_many_short_words_do_not_multiply() -> None:
    heads = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="h{n}"/></w:pPr><w:r><w:t>{"A" * 200}</w:t></w:r></w:p>' for n in (1, 2, 3)
    )
    data = word(heads + "<w:p><w:r><w:t>a</w:t></w:r></w:p>" * 5000)
    read = pieces("docx", data, chars=10_000)
    assert read.cut
    assert sum(len(piece.text) + len(piece.heading) for piece in read.pieces) < 60_000
    assert len(pieces("docx", word("<w:p><w:r><w:t>ab</w:t></w:r></w:p>" * 300)).pieces) == 300


def test_paragraphs_within_paragraphs_are_read_once() -> None:
    deep = "<w:p><w:r><w:t>box</w:t></w:r>" * 3 + "</w:p>" * 3
    assert [piece.text for piece in pieces("docx", word(deep)).pieces] == ["box"] * 3
    assert problem("docx", word("<w:p>" * 20_000 + "</w:p>" * 20_000)) == "document_empty"
