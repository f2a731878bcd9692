"""What the bot's own sentences tell, for suites that count."""

from __future__ import annotations

import re

_LEFT_OUT = re.compile(r"([\d,]+) of (?:them|your messages) (?:was|were) not read")


def left_out(text: str) -> int:
    """Of how many messages a text says that they were not read; 0 for any other text."""
    found = _LEFT_OUT.search(text)
    return int(found[1].replace(",", "")) if found else 0
