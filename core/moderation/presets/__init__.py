"""Rules and lists of words to begin with: files that moderators can read, change and copy."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def presets() -> tuple[str, ...]:
    """Their names, the mildest first."""
    return ("calm", "strict", "raid")


@cache
def preset(name: str) -> str:
    """Its TOML. Raises KeyError for a name that there is none of."""
    if name not in presets():
        raise KeyError(name)
    return (FOLDER / f"{name}.toml").read_text("utf-8")


@cache
def word_lists() -> tuple[str, ...]:
    """Names that rules can give as ``words_from``."""
    return tuple(sorted(file.stem for file in (FOLDER / "words").glob("*.txt")))


@cache
def word_list(name: str) -> tuple[str, ...]:
    """A word or phrase a line; lines that begin with ``#`` explain. Raises KeyError."""
    if name not in word_lists():
        raise KeyError(name)
    lines = (line.strip() for line in (FOLDER / "words" / f"{name}.txt").read_text("utf-8").splitlines())
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
