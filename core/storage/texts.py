"""The one place where what people say is sealed before it goes to Redis, and opened when it comes back.

With ``storage.encrypt`` every text is sealed for the conversation that it stands in (:mod:`core.storage.sealing`):
what was copied elsewhere does not open there. In JSON single fields are sealed and the rest stays as it is, so that
scripts in Redis still find ids, authors and spaces; equal texts of one conversation look equal, since scripts compare
them. What was written without sealing stays readable, and what was sealed stays so once it is switched off, as long as
its key is in ``PARLEY_KEYS``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import structlog

from core import clock
from core.storage.sealing import OPEN, SealedError, Sealing, is_sealed

if TYPE_CHECKING:
    from core.settings import Settings

log = structlog.get_logger()

UNREADABLE = "[…]"
"""Stands for what cannot be opened."""
MARK = "sealed:1:"
QUIET_SECONDS = 60.0
"""Between two lines in the log about it."""
PRIVATE = frozenset({"text", "place", "title", "description"})
"""Fields that hold what people said, wherever they stand in a value."""
OF_FILES = frozenset({"name", "ref", "text", "description"})
"""The same in ``files`` and ``attachments``: where a file is kept may tell its name."""
OF_PEOPLE = frozenset({"name", "text", "author"})
"""The same in ``author`` and ``quote``."""

Change = Callable[[str], str]


class Texts:
    """Seals and opens what people say. ``of`` names what a text belongs to: a conversation, mostly."""

    def __init__(self, sealing: Sealing = OPEN, *, seals: bool = False) -> None:
        """Without ``seals`` it only opens what was sealed before."""
        self.sealing = sealing
        self._seals = seals
        self._told_until = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Texts:
        return cls(Sealing.of(settings), seals=settings.storage.encrypt)

    def seal(self, text: str, of: str) -> str:
        """A text or a file's data. Empty ones stay so."""
        return self.sealing.seal(text, purpose(of)) if self._seals and text else text

    def open(self, text: str, of: str) -> str:
        """The inverse. Raises SealedError."""
        return self.sealing.open(text, purpose(of)) if text.startswith(MARK) and is_sealed(text) else text

    def read(self, text: str, of: str, unreadable: str = UNREADABLE) -> str:
        """The inverse, with something in place of what cannot be opened."""
        try:
            return self.open(text, of)
        except SealedError as error:
            self._tell(error)
            return unreadable

    def seal_json(self, raw: str, of: str) -> str:
        """A JSON object with its private fields sealed, ``!`` before it and all."""
        if not self._seals:
            return raw
        return _changed(raw, lambda values: _walk(values, lambda text: self.sealing.seal_same(text, purpose(of))))

    def open_json(self, raw: str, of: str) -> str:
        """The inverse. Raises SealedError."""
        if MARK not in raw:
            return raw
        return _changed(raw, lambda values: _walk(values, lambda text: self._joined(text, of, self.open)))

    def read_json(self, raw: str, of: str) -> str:
        """The inverse, with something in place of what cannot be opened."""
        if MARK not in raw:
            return raw
        return _changed(raw, lambda values: _walk(values, lambda text: self._joined(text, of, self.read)))

    def _joined(self, text: str, of: str, open: Callable[[str, str], str]) -> str:
        """Captions of an album are joined by a script, sealed as they are: opened, each thing is said once again."""
        pieces = text.split("\n\n")
        if len(pieces) == 1 or not all(map(is_sealed, pieces)):
            return open(text, of)
        said = list(dict.fromkeys(open(piece, of) for piece in pieces))
        return "\n\n".join(one for one in said if not any(other.startswith(f"{one}\n") for other in said))

    def _tell(self, error: SealedError) -> None:
        if clock.seconds() > self._told_until:
            self._told_until = clock.seconds() + QUIET_SECONDS
            log.error("what was said cannot be opened", cause=str(error))


def purpose(of: str) -> str:
    """What a text is sealed for."""
    return f"text:{of}"


def _changed(raw: str, change: Callable[[dict[str, Any]], None]) -> str:
    """A value that is no JSON object stays as it is: whoever reads it tells that."""
    mark = raw[: raw.startswith("!")]
    try:
        values: Any = json.loads(raw[len(mark) :])
    except (ValueError, RecursionError):
        return raw
    if not isinstance(values, dict):
        return raw
    change(cast("dict[str, Any]", values))
    return mark + json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _walk(values: dict[str, Any], change: Change) -> None:
    """Changes the private fields of a value as it is kept: an entry, a node's payload, a message of the web chat."""
    # What an attachment was read as is kept by itself, too.
    _fields(values, OF_FILES if "kind" in values else PRIVATE, change)
    for name in ("author", "quote"):
        if isinstance(inner := values.get(name), dict):
            _fields(cast("dict[str, Any]", inner), OF_PEOPLE, change)
        elif isinstance(inner, str) and inner:
            values[name] = change(inner)
    if isinstance(options := values.get("options"), dict):
        inner = cast("dict[str, Any]", options)
        _fields(inner, frozenset(inner), change)
    for name in ("files", "attachments"):
        listed: Any = values.get(name)
        for file in cast("list[Any]", listed) if isinstance(listed, list) else ():
            if isinstance(file, dict):
                _fields(cast("dict[str, Any]", file), OF_FILES, change)


def _fields(values: dict[str, Any], names: frozenset[str], change: Change) -> None:
    for name in names & values.keys():
        if isinstance(text := values[name], str) and text:
            values[name] = change(text)


PLAIN = Texts()
"""Seals nothing, and has no key to open anything with."""
