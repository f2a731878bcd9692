"""Signs of Parley's own sentences and buttons as icons of the page: many systems have no font for them. Pure."""

from __future__ import annotations

import re

ICONS = {
    "🎨": "paint",
    "⏳": "wait",
    "🗑": "delete",
    "🔍": "larger",
    "👎": "down-vote",
    "👍": "up-vote",
    "🎤": "voice",
    "✂": "cut",
    "🔁": "again",
    "🔄": "again",
    "🔀": "models",
    "🔊": "sound",
    "🎵": "music",
    "🎬": "film",
    "🎲": "dice",
    "⏹": "stop",
    "⏸": "pause",
    "↶": "undo",
    "✓": "right",
    "◻": "square",
    "▯": "tall",
    "▭": "wide",
}
"""Ids in ``static/icons.svg``."""
_SIGN = f"({'|'.join(map(re.escape, ICONS))})\ufe0f? ?"
_LABEL = re.compile(_SIGN)
_OWN_LINE = re.compile(f"(<em>){_SIGN}")
_ANY_LINE = re.compile(rf"(<p>|<em>|<br ?/?>\n?){_SIGN}")


def parted(label: str) -> tuple[str, str]:
    """A label's icon, or nothing, and its words."""
    found = _LABEL.match(label)
    return (ICONS[found[1]], label[found.end() :]) if found else ("", label)


def drawn(html: str, icons: str, *, is_own: bool) -> str:
    """Rendered Markdown with an icon in place of the sign that a sentence of Parley's own begins with: in an answer
    what stands in italics, where ``is_own`` every line. ``icons`` is the address of the icons."""

    def icon(found: re.Match[str]) -> str:
        return (
            f'{found[1]}<svg class="icon sign" aria-hidden="true"><use href="{icons}#{ICONS[found[2]]}"></use></svg> '
        )

    return (_ANY_LINE if is_own else _OWN_LINE).sub(icon, html)
