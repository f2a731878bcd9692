"""One table of all keys: what a backup keeps, and what is read together so that it is as it was at one moment.

A key that no row knows is a mistake: a test fails for each that a busy Parley leaves behind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

from core.errors import ParleyError

_CONVERSATION = ("state", "box", "turn", "tree", "order", "notices", "votes", "heard")
HOUR_MS = 3_600_000


class UnknownKeyError(ParleyError):
    """No row of the table knows the key."""


@dataclass(frozen=True, slots=True)
class KeyKind:
    """Keys of one form."""

    form: str
    """Like ``parley:{<p>}:box:<name>``; ``<p>`` is a partition's number, the last field takes the rest."""
    kept: bool = False
    """A backup keeps it. Leases, heartbeats, wake-ups and the like say nothing about the time of a restore."""
    together: tuple[str, ...] = ()
    """Forms of all the keys that are read in one breath with it, itself included; they lie in one slot."""
    late: bool = False
    """Read after all others: it may know more than they do, and not less."""
    last: bool = False
    """Read after the records that were changed meanwhile, which name it: what they name is there."""
    at_once: bool = False
    """All keys of such forms are read in one breath, but those of days gone by."""
    least_ms: int = 0
    """With less time left than that it is not worth keeping."""


def _conversation(what: str) -> KeyKind:
    return KeyKind(
        f"parley:{{<p>}}:{what}:<name>", True, tuple(f"parley:{{<p>}}:{one}:<name>" for one in _CONVERSATION)
    )


def _web(what: str) -> KeyKind:
    whats = ("messages", "order", "revisions")
    return KeyKind(f"parley:web:{{<u>}}:{what}:<c>", True, tuple(f"parley:web:{{<u>}}:{one}:<c>" for one in whats))


_SHAPES = {"p": "[0-9a-f]{2}", "day": "[0-9-]{10}"}
_RECORD = ("parley:{<kind>}:record:<id>", "parley:{<kind>}:log:<id>")
_PLACES = ("parley:places:{<bot>}", "parley:places:{<bot>}:last")
_DEADLINES = ("parley:{deadlines}", "parley:{deadlines}:texts")
_BOOK = (
    "parley:cases:{<space>}",
    *(f"parley:cases:{{<space>}}:{what}" for what in ("order", "waits", "claims", "lines", "moved", "channel")),
)

KINDS: tuple[KeyKind, ...] = (
    *map(_conversation, _CONVERSATION),
    KeyKind("parley:{<p>}:album:<name>", True, late=True),
    KeyKind("parley:{<p>}:seen:<name>", True, late=True),
    KeyKind("parley:{<p>}:blob:<name>", True, late=True, least_ms=HOUR_MS),
    KeyKind("parley:{<p>}:made:<name>", True, late=True),
    KeyKind("parley:{<p>}:creation:<name>"),
    KeyKind("parley:{<p>}:making:<name>"),
    KeyKind("parley:{creations}:<what>"),
    KeyKind("parley:{<p>}:ready"),
    KeyKind("parley:{<p>}:load"),
    KeyKind("parley:{<p>}:served:<minute>"),
    KeyKind("parley:{<p>}:wake:<bot>"),
    KeyKind("parley:{<p>}:calls:<worker>"),
    KeyKind("parley:{<p>}:failed", True),
    KeyKind("parley:{<p>}:failed:<id>", True, late=True),
    KeyKind("parley:{<p>}:usage:<day>", True),
    KeyKind("parley:{<p>}:feedback", True),
    KeyKind("parley:{<p>}:notes:<name>"),
    KeyKind("parley:threads:<chat>", True),
    KeyKind("parley:inline:<question>"),
    KeyKind("parley:form:<account>"),
    KeyKind("parley:schema", True),
    KeyKind("parley:sealed_by", True),
    KeyKind("parley:restoring"),
    KeyKind("parley:breaker"),
    KeyKind("parley:seats:<what>"),
    KeyKind("parley:{models}:<what>"),
    KeyKind("parley:{processes}:<what>"),
    KeyKind("parley:{limits}:<what>"),
    KeyKind("parley:memory:<name>", True),
    KeyKind("parley:permits:<bucket>"),
    KeyKind("parley:lease:<name>"),
    KeyKind("parley:sightings:<name>"),
    KeyKind("parley:fleet:<name>"),
    KeyKind("parley:tally:<name>"),
    KeyKind("parley:alive:<name>"),
    KeyKind("parley:recently:<what>"),
    *(KeyKind(form, True, _PLACES) for form in reversed(_PLACES)),
    KeyKind("parley:channels:<bot>", True),
    KeyKind("parley:{judging}:<id>"),
    KeyKind("parley:watched:{<space>}", True),
    KeyKind("parley:watched:{<space>}:counts", True, late=True),
    KeyKind("parley:watched:{<space>}:hits", True, late=True),
    KeyKind("parley:watched:{<space>}:marks", True, late=True),
    KeyKind("parley:mood:{<space>}:told", True),
    # Cells of few people live for two hours, or for a day and an hour, and are in no backup.
    KeyKind("parley:mood:{<space>}:hour:<cell>", True, late=True, least_ms=2 * HOUR_MS),
    KeyKind("parley:mood:{<space>}:day:<cell>", True, late=True, least_ms=26 * HOUR_MS),
    KeyKind("parley:mood:{<space>}:topics:<cell>", True, late=True),
    # What shows who took part is gone within a day, and never in a backup.
    KeyKind("parley:mood:{<space>}:<what>"),
    KeyKind("parley:joining:<id>", True, late=True),
    KeyKind("parley:joins:{<space>}"),
    KeyKind("parley:{deadlines}", True, _DEADLINES),
    KeyKind("parley:{deadlines}:texts", True, _DEADLINES),
    KeyKind("parley:cases:{<space>}:of:<account>", True, late=True),
    KeyKind("parley:cases:{<space>}:made:<call>", True, late=True),
    KeyKind("parley:cases:{<space>}:many:<kind>"),
    KeyKind("parley:cases:{<space>}:refused:<kind>:<channel>"),
    *(KeyKind(form, True, _BOOK) for form in reversed(_BOOK)),
    KeyKind("parley:moves", True),
    KeyKind("parley:erasure:<digest>", True),
    KeyKind("parley:{tidying}:<what>", True),
    KeyKind("parley:{budget}:usage:<day>:<space>", True, late=True, at_once=True),
    KeyKind("parley:{budget}:<what>", True, late=True, at_once=True),
    KeyKind("parley:{people}:link:<digest>"),
    KeyKind("parley:{people}:issued:<account>"),
    KeyKind("parley:{people}:tries:<account>"),
    KeyKind("parley:proposal:<id>"),
    KeyKind("parley:{spaces}:seen:<bot>", True),
    KeyKind("parley:{spaces}:left:<space>", True),
    KeyKind("parley:{broadcasts}:told:<id>", True),
    KeyKind("parley:documents:{<scope>}:<id>", True, late=True, last=True),
    *(KeyKind(form, True, _RECORD) for form in _RECORD),
    KeyKind("parley:{<kind>}:changes"),
    KeyKind("parley:web:secret", True),
    KeyKind("parley:web:owner", True),
    KeyKind("parley:web:code:<digest>"),
    KeyKind("parley:web:{<u>}:ticket:<ticket>"),
    *map(_web, ("messages", "order", "revisions")),
    KeyKind("parley:web:{<u>}:blob:<blob>", True, late=True, least_ms=HOUR_MS),
    KeyKind(
        "parley:web:{<u>}:<what>", True, tuple(f"parley:web:{{<u>}}:{w}" for w in ("user", "conversations", "titles"))
    ),
    KeyKind("streaq:<what>"),
)
"""The first row that knows a key is the one for it."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key and its row."""

    name: str
    kind: KeyKind
    fields: dict[str, str] = field(hash=False)

    @property
    def unit(self) -> tuple[str, ...]:
        """The keys that are read with it in one breath, itself among them, in an order that is the same for each."""
        names = tuple(_filled(form, self.fields) for form in self.kind.together)
        return names if self.name in names else (self.name,)

    @property
    def record_kind(self) -> str:
        """Of a versioned record (``records.py``), what kind of record; else empty."""
        return self.fields["kind"] if self.kind.together == _RECORD else ""

    @property
    def conversation(self) -> str:
        """The name of the conversation whose state it is part of; else empty."""
        return self.fields["name"] if self.kind.together and "p" in self.fields else ""

    @property
    def partition(self) -> int:
        """The conversation's."""
        return int(self.fields["p"], 16)


def known(key: str) -> KnownKey:
    """Raises UnknownKeyError."""
    for kind in KINDS:
        if found := _pattern(kind.form).fullmatch(key):
            return KnownKey(key, kind, found.groupdict())
    raise UnknownKeyError(f"The key {key[:80]!r} is none that this program knows.")


def glob(kind: KeyKind) -> str:
    """What SCAN finds the keys of a row by, and perhaps some others."""
    return re.sub(r"<\w+>", "*", kind.form)


@cache
def _pattern(form: str) -> re.Pattern[str]:
    parts = re.split(r"<(\w+)>", form)
    text = re.escape(parts[0])
    for name, literal in zip(parts[1::2], parts[2::2], strict=True):
        # What stands in braces is a hash tag: no further brace is in it.
        what = _SHAPES.get(name) or ("[^{}]+" if literal.startswith("}") else ".*")
        text += f"(?P<{name}>{what}){re.escape(literal)}"
    return re.compile(text, re.DOTALL)


def _filled(form: str, fields: dict[str, str]) -> str:
    return re.sub(r"<(\w+)>", lambda found: fields[found[1]], form)
