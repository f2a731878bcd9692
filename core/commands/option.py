"""What commands take: typed values, which every call carries as text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an option takes. Whatever it is, a call carries it as text."""

    TEXT = "text"
    """A line."""
    LONG = "long"
    """Text of many lines: asked for in a form where a platform has forms and it was not given."""
    INTEGER = "integer"
    NUMBER = "number"
    SWITCH = "switch"
    """``true`` or ``false``."""
    FILE = "file"
    """It comes as an attachment of the call."""
    USER = "user"
    """An account's id."""
    CHANNEL = "channel"
    """A channel's id."""
    SECRET = "secret"  # noqa: S105  the kind of it
    """A line that nobody else may read: asked for in a form where there are forms, and sealed where it comes in
    (``core/commands/secret.py``)."""
    ROLE = "role"
    """Id of a role that the platform itself has."""


@dataclass(frozen=True, slots=True)
class Option:
    """A typed value that a command takes."""

    name: str
    required: bool = False
    kind: Kind = Kind.TEXT
    choices: tuple[str, ...] = ()
    """All values there are, where they are few and fixed."""
    labels: str = ""
    """Where the words for choices stand in the catalogs: ``LABELS.CHOICE``, and not ``choice.NAME.OPTION.CHOICE``."""
    words: str = ""
    """Of which row it has its own name and explanation: where the same option stands at several; empty: of its own."""
    by_name: bool = False
    """Where it is typed it is given as ``name=value`` alone, never by its place."""
    suggests: bool = False
    """Values are suggested while it is typed (``core/commands/suggesting.py``)."""
    least: float | None = None
    """Of a number."""
    most: float | None = None
