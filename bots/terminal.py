"""The person at the terminal."""

from __future__ import annotations

import sys


def tell(line: str) -> None:
    """Shows them a line at once, also where it goes through a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
