from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import document_forms, document_parsers, document_text, documents
from core.document_text import Extract
from core.documents import DocumentError, form_of, read_document
from tests.core.files import docx, pdf


async def read(data: bytes, form: str, pages: int = 100, chars: int = 10_000) -> Extract:
    return await read_document(data, form, max_pages=pages, max_chars=chars)


async def problem(data: bytes, form: str) -> str:
    with pytest.raises(DocumentError) as caught:
        await read(data, form)
    return caught.value.key


@pytest.mark.parametrize(
    ("name", "mime", "form"),
    [
        ("report.PDF", "", "pdf"),
        ("", "application/pdf", "pdf"),
        ("letter.docx", "application/octet-stream", "docx"),
        ("page.htm", "text/html; charset=utf-8", "html"),
        ("notes", "text/plain", "text"),
        ("main.rs", "application/octet-stream", "text"),
        ("data", "application/json", "text"),
        ("program.exe", "application/x-msdownload", ""),
        ("archive.zip", "application/zip", ""),
        ("", "", ""),
    ],
)
def test_forms_are_told_by_name_and_kind(name: str, mime: str, form: str) -> None:
    assert form_of(name, mime) == form


async def test_a_pdf_is_read_page_by_page() -> None:
    data = pdf(["First page", "Second page", "Third page"])
    assert await read(data, "pdf") == Extract("First page\n\nSecond page\n\nThird page", 3, cut=False)
    assert await read(data, "pdf", pages=2) == Extract("First page\n\nSecond page", 3, cut=True)
    assert await read(data, "pdf", chars=8) == Extract("First pa", 3, cut=True)


async def test_what_cannot_be_read_of_a_pdf_says_why() -> None:
    assert await problem(pdf(["", ""]), "pdf") == "document_scanned"
    assert await problem(pdf(["secret"], encrypted=True), "pdf") == "document_locked"
    assert await problem(b"%PDF-1.4\nnothing of use", "pdf") == "document_broken"
    assert await problem(b"", "pdf") == "document_broken"


async def test_a_word_document_is_read() -> None:
    assert (await read(docx(["Dear Ann,", "", "see you."]), "docx")).text == "Dear Ann,\n\nsee you."
    assert await problem(b"PK\x03\x04 no archive", "docx") == "document_broken"


async def test_entities_that_grow_are_not_expanded() -> None:
    bomb = docx(["&b;"], before='<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>')
    assert await problem(bomb, "docx") == "document_broken"


async def test_an_archive_that_grows_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_parsers, "MAX_XML_BYTES", 10_000)
    with pytest.raises(document_text.Unreadable, match="document_broken"):
        document_forms.read("docx", docx(["a" * 20_000]), 10, 10)


async def test_a_page_is_read_without_its_machinery() -> None:
    page = (
        b"<html><head><title>T</title><style>p{}</style></head><body><h1>Bread</h1><p>Flour &amp;\n water.</p>"
        b"<script>alert(1)</script><ul><li>one<li>two</ul></body></html>"
    )
    assert (await read(page, "html")).text == "Bread\n\nFlour & water.\n\none\ntwo"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("grüße 世界".encode(), "grüße 世界"),
        (b"\xef\xbb\xbfmarked", "marked"),
        (b"one\r\n\x1b[1mtwo\r" + b" " * 5000 + b"\0", "one\n[1mtwo\n" + " " * 5000),
        ("wide".encode("utf-16"), "wide"),
        ("Caf\u00e9 au lait, s'il vous pla\u00eet".encode("cp1252"), "Café au lait, s'il vous plaît"),
        ("今天天气很好。".encode("gb18030"), "今天天气很好。"),
    ],
)
async def test_old_encodings_are_understood(data: bytes, text: str) -> None:
    assert (await read(data, "text")).text == text


async def test_a_program_that_is_called_a_text_is_refused() -> None:
    assert await problem(b"MZ\0\0\0\x01", "text") == "file_unsupported"
    assert await problem(b" \n ", "text") == "document_empty"


async def test_a_reader_that_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _stand_in(
        monkeypatch,
        tmp_path,
        "import pathlib, os, time\npathlib.Path('{}').write_text(str(os.getpid()))\ntime.sleep(60)\n",
    )
    monkeypatch.setattr(documents, "SECONDS", 1.5)
    assert await problem(pdf(["x"]), "pdf") == "document_broken"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "said").read_text()), 0)


async def test_a_reader_is_told_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TELEGRAM_TOKEN", "1:secret")
    _stand_in(monkeypatch, tmp_path, "import os, pathlib\npathlib.Path('{}').write_text(repr(dict(os.environ)))\n")
    assert await problem(pdf(["x"]), "pdf") == "document_broken"
    assert "secret" not in (tmp_path / "said").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory")
def test_a_reader_that_eats_memory_dies_alone() -> None:
    greedy = "from core import document_forms; document_forms.confine(); bytearray(4_000_000_000)"
    ended = subprocess.run([sys.executable, "-c", greedy], cwd=documents.CHECKOUT, capture_output=True, check=False)
    assert b"MemoryError" in ended.stderr


def _stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Another program in the reader's place; ``{}`` in it is a file that it may write."""
    (folder / "core").mkdir()
    (folder / "core" / "__init__.py").touch()
    (folder / "core" / "document_forms.py").write_text(program.replace("{}", str(folder / "said")))
    monkeypatch.setattr(documents, "CHECKOUT", folder)
