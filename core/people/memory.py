"""What a person asked to keep in mind: short facts, a few, theirs alone. Pure."""

from __future__ import annotations

import re
from zlib import crc32

from core.conversation.history import count_tokens
from core.people.identity import Fact, Person
from core.people.linking import MOST_FACTS

LONGEST_FACT = 300
"""Characters."""
SHARE = 16
"""Facts take one part in so many of a model's window."""
_UNSEEN = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""Control characters, and marks that change the direction of what follows."""


def clean(text: str) -> str:
    """A fact as it is kept: one line without what nobody sees."""
    return " ".join(_UNSEEN.sub(" ", text).split())


def reference(fact: Fact) -> str:
    """What a button calls a fact by: its number may be another one's by the time it is pressed."""
    return f"{crc32(f'{fact.at}:{fact.text}'.encode()):08x}"


def find(person: Person, wanted: str) -> Fact | None:
    """A fact by its number, as people count, or by its reference."""
    if wanted.isascii() and wanted.isdecimal() and len(wanted) <= 3 and 0 < int(wanted) <= len(person.facts):
        return person.facts[int(wanted) - 1]
    return next((fact for fact in person.facts if reference(fact) == wanted), None)


def added(person: Person, text: str, at: float) -> Person:
    """With one more; the same person where they have as many as there may be, or this one."""
    if len(person.facts) >= MOST_FACTS or any(fact.text == text for fact in person.facts):
        return person
    return person.model_copy(update={"facts": (*person.facts, Fact(text=text, at=at))})


def replaced(person: Person, fact: Fact, text: str = "") -> Person:
    """With other words in its place, or with an empty text without it."""
    kept = (
        one.model_copy(update={"text": text}) if one == fact else one for one in person.facts if text or one != fact
    )
    return person.model_copy(update={"facts": tuple(kept)})


def recalled(person: Person, *, private: bool, window: int) -> tuple[str, ...]:
    """The facts for a question of theirs to a model with a ``window`` of so many tokens, oldest first: as many of the
    newest as have room. In groups, where others read the answer and may ask on, only for who wants that."""
    if not private and not person.facts_in_groups:
        return ()
    chosen, tokens = list[str](), window // SHARE
    for fact in reversed(person.facts):
        tokens -= count_tokens(fact.text)
        if tokens < 0:
            break
        chosen.append(fact.text)
    return tuple(reversed(chosen))
