"""Lines of a list or code block that opens a page: moved to the left, numbered on."""

from __future__ import annotations

import re

from bots.markdown_state import Kind, Line, indent_of, prefix_of

_NUMBER = re.compile(r"\d+")


def moved(text: str, line: Line, end: int, dedent: int) -> tuple[str, int]:
    """A line moved left by up to ``dedent`` columns, and how far the lines after it are moved."""
    if not dedent or line.kind is Kind.BLANK:
        return text[line.start : end], dedent
    quote, spaces, content = prefix_of(text, line.start, min(line.end, end))
    indent = indent_of(spaces)
    if line.before.fence is None:
        dedent = min(dedent, indent)
    return quote + _without(spaces, dedent) + text[content:end], dedent


def _without(spaces: str, columns: int) -> str:
    """Indentation less its first columns; a tab that is only partly gone becomes spaces."""
    column = 0
    for index, char in enumerate(spaces):
        if column >= columns:
            return " " * (column - columns) + spaces[index:]
        column += 4 - column % 4 if char == "\t" else 1
    return " " * (column - columns)


def counted(shown: str, line: Line, since: int) -> str:
    """A list item with its counted number, where its list began on a page before."""
    if line.kind is not Kind.ITEM:
        return shown
    item = line.after.items[-1]
    if item.number is None or item.since >= since:
        return shown
    return _NUMBER.sub(str(item.number), shown, count=1)
