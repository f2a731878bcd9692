"""How fast, how right and how safe moderation is: ``python -m benchmarks.moderation [speed|accuracy|acts] …``.

Each is a file of its own (``benchmarks/moderation_NAME.py``) with options of its own: ``python -m benchmarks.moderation
accuracy --help``. Without a name all of them run, and options are those of ``accuracy``.
"""

from __future__ import annotations

import subprocess
import sys

PARTS = ("speed", "accuracy", "acts")


def main() -> int:
    """How many of the parts missed a goal."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in PARTS:
        return _run(arguments[0], arguments[1:])
    return sum(_run(part, arguments if part == "accuracy" else []) != 0 for part in PARTS)


def _run(part: str, arguments: list[str]) -> int:
    # Of its own process, so that one does not find the memory and the caches of another.
    return subprocess.run([sys.executable, "-m", f"benchmarks.moderation_{part}", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
