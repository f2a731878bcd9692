"""What is read of a document by its form, in a process of its own.

``python -m core.document_forms FORM PAGES CHARS text|pieces SECONDS``: the file comes on the standard input, and one
JSON object goes out: an Extract or Pieces (``core/document_text.py``), or ``problem``, a key of a sentence. Parsers of
such forms have been made to loop or to eat memory by files, so the process limits itself before it reads, and
:mod:`core.documents` kills it when it is late.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from core.document_parsers import PARSERS
from core.document_text import Extract, Parsed, Pieces, Unreadable, as_pieces, tidy

MEMORY_BYTES = 600_000_000
CPU_SECONDS = 25


def read(form: str, data: bytes, max_pages: int, max_chars: int) -> Extract:
    """As one text. Raises Unreadable."""
    parsed = _parsed(form, data, max_pages, max_chars)
    text = tidy(parsed.joint.join(block.text for block in parsed.blocks))
    if not text:
        raise _empty(form)
    return Extract(text[:max_chars], parsed.pages, parsed.cut or len(text) > max_chars)


def read_pieces(form: str, data: bytes, max_pages: int, max_chars: int) -> Pieces:
    """With pages and headings. Raises Unreadable."""
    found = as_pieces(_parsed(form, data, max_pages, max_chars), max_chars)
    if not found.pieces:
        raise _empty(form)
    return found


def _parsed(form: str, data: bytes, max_pages: int, max_chars: int) -> Parsed:
    try:
        return PARSERS[form](data, max_pages, max_chars)
    except Unreadable:
        raise
    except Exception as error:
        # A damaged file makes parsers raise nearly anything.
        raise Unreadable("document_broken") from error


def _empty(form: str) -> Unreadable:
    return Unreadable("document_scanned" if form == "pdf" else "document_empty")


def confine(seconds: int = CPU_SECONDS) -> None:
    """Limits of the system's for this process, where it has them."""
    try:
        import resource
    except ImportError:  # Windows
        return
    # Answers come first.
    os.nice(10)
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):
            # macOS knows no limit of memory; the parent's clock holds there as well.
            continue


def main() -> None:
    form, pages, chars, shape, seconds = sys.argv[1:6]
    confine(int(seconds))
    data = sys.stdin.buffer.read()
    answer: dict[str, object]
    try:
        read_as = read_pieces if shape == "pieces" else read
        answer = asdict(read_as(form, data, int(pages), int(chars)))
    except Unreadable as problem:
        answer = {"problem": str(problem)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
