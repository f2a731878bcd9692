"""Collapsible parts, which models write as HTML: ``<details><summary>What it is about</summary> ... </details>``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bots.telegram_bot.tidy import parsed

OPEN, SUMMARY, CLOSE = "\ue000", "\ue001", "\ue002"
"""Begin a paragraph in place of a tag; no font has these characters."""
_MARKS = str.maketrans("", "", OPEN + SUMMARY + CLOSE)
_TAG = re.compile(rb"\s*<(/?)(details|summary)(?:\s[^<>]*)?>\s*", re.IGNORECASE)
_MARKED = {
    b"details": f"\n\n{OPEN}\n\n",
    b"summary": f"\n\n{SUMMARY}",
    b"/summary": "\n\n",
    b"/details": f"\n\n{CLOSE}\n\n",
}
_PLAIN = {b"details": "\n\n", b"summary": "\n\n**", b"/summary": "**\n\n", b"/details": "\n\n"}


def marked(markdown: str) -> str:
    """The tags as marks, each at the beginning of a paragraph at the top level. Raises what the parser raises."""
    return _replaced(markdown.translate(_MARKS), _MARKED)


def unfolded(markdown: str) -> str:
    """Without the tags, the summaries bold. Raises what the parser raises."""
    return _replaced(markdown, _PLAIN)


def _replaced(markdown: str, replacements: Mapping[bytes, str]) -> str:
    if "<" not in markdown or not _TAG.search(markdown.encode("utf-8")):
        return markdown
    source = markdown.encode("utf-8")
    out: list[bytes] = []
    at = 0
    # A tag in code, or in the middle of a sentence, is no event of this kind.
    for event in parsed(markdown):
        if event.kind == "Html":
            out.append(source[at : event.start])
            out.append(
                _TAG.sub(lambda m: replacements[(m[1] + m[2]).lower()].encode(), source[event.start : event.end])
            )
            at = event.end
    return b"".join((*out, source[at:])).decode("utf-8")
