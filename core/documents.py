"""Documents as text: told apart by name and declared kind, read by a process that is killed when it takes too long."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from core.document_text import Extract, Piece, Pieces, Unreadable, plain_text, without_controls
from core.errors import ParleyError

log = structlog.get_logger()

SECONDS = 30.0
"""How long reading one document may take."""
LEARNING_SECONDS = 150.0
"""How long reading one may take that is learned: some 30 ms a page of a PDF, and nobody waits for an answer."""
AT_ONCE = 4
"""Documents that one of our processes has read at the same time; the others wait, and their time begins after that."""
CHECKOUT = Path(__file__).parents[1]
FORMS = {
    "application/pdf": "pdf",
    ".pdf": "pdf",
    ".docx": "docx",
    ".epub": "epub",
    "application/epub+zip": "epub",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
} | {
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/html": "html",
    "application/xhtml+xml": "html",
}
"""Forms that take a parser, by ending and by declared kind."""
LEARNED_FORMS = {
    ".csv": "csv",
    ".tsv": "csv",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    ".svg": "svg",
    "image/svg+xml": "svg",
}
"""Further forms that have places of their own, or something to be left out, when they are learned."""
_TEXT_KINDS = frozenset(
    (
        "json", "xml", "yaml", "x-yaml", "toml", "javascript", "x-javascript", "typescript", "x-sh",
        "x-shellscript", "sql", "x-sql", "x-python", "x-httpd-php", "x-ndjson", "jsonl", "csv", "x-tex",
        "x-subrip", "rss+xml", "ld+json",
    )
)  # fmt: skip
"""Of the declared kind ``application/…``."""
_TEXT_ENDINGS = frozenset(
    (
        ".txt", ".md", ".markdown", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".yaml",
        ".yml", ".toml", ".ini", ".cfg", ".conf", ".env", ".log", ".tex", ".bib", ".srt", ".vtt", ".diff",
        ".patch", ".sql", ".py", ".pyi", ".ipynb", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".css",
        ".scss", ".less", ".vue", ".svelte", ".java", ".kt", ".kts", ".scala", ".groovy", ".gradle", ".c",
        ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cs", ".go", ".rs", ".rb", ".php", ".pl", ".pm", ".lua",
        ".r", ".jl", ".m", ".mm", ".swift", ".dart", ".ex", ".exs", ".erl", ".hs", ".ml", ".clj", ".lisp",
        ".el", ".vim", ".sh", ".bash", ".zsh", ".fish", ".ps1", ".bat", ".cmd", ".asm", ".s", ".f90", ".pas",
        ".proto", ".graphql", ".tf", ".nix", ".cmake", ".mk", ".properties", ".org", ".adoc", ".po", ".ics",
        ".vcf", ".eml", ".svg",
    )
)  # fmt: skip


class DocumentError(ParleyError):
    """A document was refused. ``key`` is its sentence, ``values`` what the sentence is filled with."""

    def __init__(self, key: str, **values: str) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


def form_of(name: str, mime: str) -> str:
    """``pdf``, ``docx``, ``epub``, ``html`` or ``text``; empty for what cannot be read."""
    ending = PurePath(name.lower()).suffix
    mime = mime.partition(";")[0].strip().lower()
    if form := FORMS.get(ending) or FORMS.get(mime):
        return form
    is_text = ending in _TEXT_ENDINGS or mime.startswith("text/") or mime.removeprefix("application/") in _TEXT_KINDS
    return "text" if is_text else ""


def learned_form(name: str, mime: str) -> str:
    """The same for what is to be learned, with the forms that have rows or headings of their own."""
    ending = PurePath(name.lower()).suffix
    kind = mime.partition(";")[0].strip().lower()
    return LEARNED_FORMS.get(ending) or LEARNED_FORMS.get(kind, "") or form_of(name, mime)


async def read_pieces(data: bytes, form: str, *, max_pages: int, max_chars: int) -> Pieces:
    """A document of that form (:func:`learned_form`) with its pages and headings. Raises DocumentError."""
    answer = await _in_a_process(data, form, max_pages, max_chars, "pieces", LEARNING_SECONDS)
    pieces = tuple(Piece(**piece) for piece in answer["pieces"])
    return Pieces(pieces, answer["pages"], answer["cut"], answer["title"], answer["link"])


async def read_document(data: bytes, form: str, *, max_pages: int, max_chars: int) -> Extract:
    """The text of a document of that form. Raises DocumentError."""
    if form != "text":
        answer = await _in_a_process(data, form, max_pages, max_chars, "text", SECONDS)
        return Extract(answer["text"], answer["pages"], answer["cut"])
    try:
        text = await asyncio.to_thread(lambda: without_controls(plain_text(data)))
    except Unreadable as problem:
        raise DocumentError(str(problem)) from None
    if not text.strip():
        raise DocumentError("document_empty")
    return Extract(text[:max_chars], cut=len(text) > max_chars)


_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def _in_a_process(
    data: bytes, form: str, max_pages: int, max_chars: int, shape: str, seconds: float
) -> dict[str, Any]:
    async with _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)):
        out, status = await _output(data, (form, str(max_pages), str(max_chars), shape), seconds)
    # A book is some megabytes of JSON, which would hold every other answer up.
    return await asyncio.to_thread(_told, out, status)


async def _output(data: bytes, arguments: Sequence[str], seconds: float) -> tuple[bytes, int | None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "core.document_forms",
        *arguments,
        str(int(seconds * 0.85)),
        # Nothing of ours: tokens and keys stand in the environment.
        env={"PYTHONPATH": str(CHECKOUT), "PYTHONUTF8": "1"} | _of_the_system(),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=CHECKOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            out, _ = await process.communicate(data)
    except TimeoutError:
        log.warning("a document took too long to read", form=arguments[0], bytes=len(data))
        raise DocumentError("document_broken") from None
    finally:
        if process.returncode is None:
            process.kill()
            # To the end of what it wrote: a pipe that nobody reads stays open after its process is gone.
            await process.communicate()
    return out, process.returncode


def _told(out: bytes, status: int | None) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        log.warning("a document ended the process that read it", status=status)
        raise DocumentError("document_broken") from None
    if problem := answer.get("problem"):
        raise DocumentError(problem)
    return answer


def _of_the_system() -> dict[str, str]:
    return {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
