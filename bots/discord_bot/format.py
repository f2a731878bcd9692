"""A model's Markdown as Discord shows it. Pure, never fails; fast, as it runs for every edit.

Discord's own Markdown is near to what models write. Different are: tables, deep headings, images, rules, task
lists, ``+`` bullets, nested quotes, two bars that hide nothing, and mentions, which must never be anybody's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bots.adapter import Page

BLANK = "\u200b"
"""Breaks a mention or a mark without being seen."""
FENCE = re.compile(r"^(\s{0,12}(?:> ?)*)(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$")
HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
RULE = re.compile(r"^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
TABLE_LINE = re.compile(r"^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
CELL_BORDER = re.compile(r"(?<!\\)\|")
TASK = re.compile(r"^(\s*)(?:[-*+]|(\d+[.)]))[ \t]+\[([ xX])\][ \t]+")
BULLET = re.compile(r"^(\s*)\+(?=[ \t])")
QUOTES = re.compile(r"^ {0,3}((?:>[ \t]?){2,})")
SUBTEXT = re.compile(r"^(\s*)-#(?=[ \t])")
IMAGE = re.compile(r"!\[([^\]\n]*)\]\(\s*<?([^\s)>]++)>?(?:\s+[\"'][^)\n]*)?\)")
# Nothing is looked at twice, however many brackets are left open.
LINK = re.compile(
    r"(?<!!)\[((?:[^\[\]\n\\]|\\.)+)\]"
    r"\(\s*<?((?:[^\s()>]++|\([^\s()]*+\))++)>?(?:\s+[\"'][^)\n]*)?\)"
)
CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
BARS = re.compile(rf"{CODE.pattern}|\|{{2,}}", re.DOTALL)
PING = re.compile(r"@(?=(?:everyone|here)\b)|<(?=@[!&]?\d)")
WORD = re.compile(r"[A-Za-z0-9_]")
MARKS = re.compile(r"\*\*|__|~~|[*`\\]")
RULE_TEXT = "\u2500" * 12


def to_page(markdown: str) -> Page:
    """The page's length is in UTF-16 units: never less than what Discord counts."""
    text = PING.sub(lambda found: found[0] + BLANK, _convert(markdown)).strip("\n")
    units = text.encode("utf-16-le", "surrogatepass")
    # Discord refuses a message with half a surrogate pair or a NUL in it.
    return Page(units.decode("utf-16-le", "replace").replace("\0", "\ufffd"), len(units) // 2)


def _convert(markdown: str) -> str:
    lines = markdown.split("\n")
    out: list[str] = []
    prose: list[str] = []
    fence = before = ""
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        found = FENCE.match(line)
        if fence:
            closes = found is not None and not found[3] and found[2][0] == fence[0] and len(found[2]) >= len(fence)
            if closes and found:
                out.append(f"{found[1]}```")
                fence = ""
            else:
                # Discord knows only fences of three backticks: inside, they may not appear.
                out.append(line.replace("```", f"``{BLANK}`"))
        elif found:
            _flush(prose, out)
            before, fence = found[1], found[2]
            out.append(f"{before}```{found[3]}")
        elif "|" in line and at < len(lines) and _begins_table(line, lines[at]):
            _flush(prose, out)
            end = at + 1
            while end < len(lines) and "|" in lines[end] and lines[end].strip():
                end += 1
            out += _table([line, *lines[at + 1 : end]])
            at = end
        else:
            prose.append(_line(line))
    _flush(prose, out, is_end=True)
    if fence:
        out.append(f"{before}```")
    return "\n".join(out)


def _flush(prose: list[str], out: list[str], *, is_end: bool = False) -> None:
    """Lines of text go through what may reach over lines: code spans are left alone in it."""
    if not prose:
        return
    text = "\n".join(prose)
    prose.clear()
    if not any(sign in text for sign in ("](", "||")):
        out.append(text)
        return
    pieces: list[str] = []
    end = 0
    for code in CODE.finditer(text) if "`" in text else ():
        pieces += (_inline(text[end : code.start()]), code[0])
        end = code.end()
    pieces.append(_inline(text[end:]))
    text = "".join(pieces)
    out.append(_spoilers(text, is_end=is_end) if "||" in text else text)


def _line(line: str) -> str:
    """What depends on a line's beginning."""
    start = line.lstrip()[:1]
    if start == "#" and (found := HEADING.match(line)):
        level, title = len(found[1]), found[2]
        return f"{found[1]} {title}" if level <= 3 else f"**{MARKS.sub('', title)}**" if title else ""
    if start in ("-", "*", "_") and RULE.match(line):
        return RULE_TEXT
    if start == ">":
        return QUOTES.sub("> ", line)
    if start in ("-", "*", "+") or start.isdigit():
        if found := TASK.match(line):
            box = "\u2610" if found[3] == " " else "\u2611"
            return f"{found[1]}{found[2] or '-'} {box} {line[found.end() :]}"
        return SUBTEXT.sub(r"\1\\-#", BULLET.sub(r"\1-", line))
    return line


def _inline(text: str) -> str:
    text = IMAGE.sub(lambda found: f"[{found[1] or 'image'}]({found[2]})", text)
    return LINK.sub(_link, text)


def _spoilers(text: str, *, is_end: bool) -> str:
    """Two bars hide what they stand around like brackets. Elsewhere, as in ``a || b``, they are two bars, which
    Discord has to be told. What is opened at the end of a growing text is hidden before it is closed."""
    bars = [found for found in BARS.finditer(text) if found[0][0] == "|"]
    kept: set[int] = set()
    at, unclosed = 0, False
    while at < len(bars):
        end = bars[at + 1].start() if at + 1 < len(bars) else len(text)
        is_one = "\n\n" not in text[bars[at].end() : end]
        if _opens(text, bars[at]) and is_one and (end == len(text) or _closes(text, bars[at + 1])):
            unclosed = at + 1 == len(bars)
            if is_end or not unclosed:
                kept |= {at, at + 1}
                at += 1
        at += 1
    pieces: list[str] = []
    end = 0
    for number, found in enumerate(bars):
        pieces += (text[end : found.start()], found[0] if number in kept else "\\|" * len(found[0]))
        end = found.end()
    return "".join((*pieces, text[end:], "||" if unclosed and is_end else ""))


def _opens(text: str, bars: re.Match[str]) -> bool:
    before, after = text[max(0, bars.start() - 1) : bars.start()], text[bars.end() : bars.end() + 1]
    return len(bars[0]) == 2 and not (WORD.match(before) or before == "\\") and bool(after.strip())


def _closes(text: str, bars: re.Match[str]) -> bool:
    before, after = text[max(0, bars.start() - 1) : bars.start()], text[bars.end() : bars.end() + 1]
    return len(bars[0]) == 2 and not WORD.match(after) and bool(before.strip())


def _link(found: re.Match[str]) -> str:
    """Discord shows no link whose text looks like another address, and none without a scheme."""
    text, url = found[1], found[2]
    if "://" in text or text == url:
        return f"<{url}>" if "://" in url else text
    return f"[{text}]({url})" if url.startswith(("http://", "https://")) else f"{text} ({url})"


def _begins_table(head: str, line: str) -> bool:
    return "-" in line and TABLE_LINE.match(line) is not None and len(_cells(head)) == len(_cells(line)) > 1


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [cell.strip() for cell in CELL_BORDER.split(inner)]


def _table(rows: Sequence[str]) -> list[str]:
    """Discord has no tables: aligned columns in a code block."""
    cells = [[_plain(cell) for cell in _cells(row)] for row in rows]
    count = len(cells[0])
    cells = [(row + [""] * count)[:count] for row in cells]
    widths = [max(_width(row[i]) for row in cells) for i in range(count)]
    drawn: list[str] = []
    for row in cells:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        drawn.append("  ".join(padded).rstrip())
    drawn.insert(1, "  ".join("\u2500" * width for width in widths))
    return ["```", *drawn, "```"]


def _plain(cell: str) -> str:
    """A cell's text: marks mean nothing inside a code block."""
    cell = IMAGE.sub(r"\1", cell)
    cell = LINK.sub(lambda found: f"{found[1]} ({found[2]})", cell)
    return MARKS.sub("", cell).replace("<br>", " ")


def _width(text: str) -> int:
    """Columns in a fixed-width font."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(1 for char in text if unicodedata.combining(char))
