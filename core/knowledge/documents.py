"""Documents that were learned, and the passages that they were split into."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.errors import ParleyError
from core.storage import keys
from core.storage.records import Record
from core.texts import Value, one_line

LONGEST_TITLE = 80
"""Characters of a title that are shown."""
Source = Literal["file", "link", "text", "answer"]
"""Where a document comes from; answers are those that staff gave to a question."""


class LibraryError(ParleyError):
    """A document was refused. ``key`` is its sentence, ``values`` what the sentence is filled with."""

    def __init__(self, key: str, **values: Value) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


@dataclass(frozen=True, slots=True)
class Document:
    """What is known of a document without its text."""

    id: str
    """A digest of what it says and where it comes from."""
    number: int
    """What people call it by; a newer version of it has the same."""
    scope: str
    title: str
    source: str
    """A file's name, a link, or a question; together with :attr:`kind` it tells that something is a newer version."""
    kind: Source
    link: str = ""
    """Where people can read it; empty where nobody knows."""
    added_by: str = ""
    """An account (``core.people.identity.account_of``)."""
    added_at: float = 0.0
    """Unix seconds."""
    passages: int = 0
    pages: int = 0
    """Of the whole document; 0 where it has none."""
    is_cut: bool = False
    """Its beginning alone was learned."""
    model: str = ""
    """Name of the model whose vectors it has; empty: it is found by its words alone."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, of some 250 tokens."""

    document: str
    """The document's id."""
    number: int
    """From 0, in the document's order."""
    text: str
    page: int = 0
    """On which it stands; 0 where there are none."""
    heading: str = ""
    """What it stands under."""
    link: str = ""
    """Where people can read it, as near as is known."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that may answer a question."""

    passage: Passage
    document: Document
    score: float
    """0 to 1: how much of the question it is about. For leaving out what is about something else; the order of what
    was found follows ranks, and is not that of scores."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that is to be learned, already split."""

    title: str
    source: str
    kind: Source
    passages: Sequence[Passage]
    """Their ``document`` is filled in when they are kept."""
    link: str = ""
    added_by: str = ""
    pages: int = 0
    is_cut: bool = False

    def id(self, scope: str) -> str:
        """The same for the same text from the same source."""
        digest = hashlib.sha256(repr((scope, self.kind, self.source, self.title, self.link)).encode())
        for passage in self.passages:
            digest.update(repr((passage.text, passage.page, passage.heading, passage.link)).encode())
        return digest.hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Learned:
    """What became of a draft."""

    document: Document
    replaced: bool = False
    """It took the place of an older version."""
    was_known: bool = False
    """The very same was there before."""
    unpaid: bool = field(default=False)
    """It has no vectors, since the model that makes them could not be asked: it is found by its words alone."""


class Entry(Record):
    """A document as it is kept. Title, source and link are sealed (``core/storage/texts.py``) for the scope."""

    id: str
    number: int
    title: str
    source: str
    kind: str
    link: str = ""
    added_by: str = ""
    added_at: float = 0.0
    passages: int = 0
    pages: int = 0
    is_cut: bool = False
    model: str = ""


class Library(Record):
    """All documents of a scope, oldest first."""

    entries: tuple[Entry, ...] = ()
    last: int = 0
    """The highest number ever given."""
    gone: tuple[str, ...] = ()
    """Ids of documents that were removed or replaced, and whose texts are still there: whoever removes them may die."""


def space_scope(space: str) -> str:
    """Where a space's documents are kept; ``space`` is ``core.people.spaces.space_id``."""
    return keys.space_documents(space)


def person_scope(person: str) -> str:
    """Where somebody's own documents are kept; ``person`` is ``Person.id``."""
    return f"person:{person}"


def titled(title: str, link: str) -> str:
    """A title as Markdown, with its link where that can stand there; both were written by people."""
    shown = one_line(title, LONGEST_TITLE)
    return f"[{shown}](<{link}>)" if link and not re.search(r"[<>\s]", link) else shown
