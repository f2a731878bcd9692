"""Answers that staff wrote themselves: given word for word, before any model is asked, and free.

A rule has triggers and a template. A trigger is a question as people write it; ``*`` in it stands for any words, or
none. Upper and lower case, punctuation, full-width letters and what nobody sees make no difference. Pure, but for
:class:`Faqs`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from core.storage.client import Store
from core.storage.records import Record, Records

MOST_RULES = 200
"""Of a space. All their triggers are tried for each message: some 0.3 ms for so many."""
MOST_TRIGGERS = 10
"""Of a rule."""
LONGEST_TRIGGER = 200
"""Characters."""
LONGEST_ANSWER = 2000
LONGEST_ASKED = 500
"""Characters of a message that rules are tried for: who writes more asks more than a rule can answer."""
LEAST_LETTERS = 2
"""In a trigger: one letter is in nearly everything."""
ANY = "*"
BETWEEN = "|"
"""Between the triggers of a rule, as they are typed."""
_UNSEEN = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]")
_PLACE = re.compile(r"\{(\w+)\}")


class Rule(Record):
    """One answer and the questions that it is for."""

    number: int
    """What staff call it by; it stays the same, whatever is removed."""
    triggers: tuple[str, ...]
    answer: str
    """A template: :func:`filled`."""


class Faq(Record):
    """All rules of a space, oldest first."""

    rules: tuple[Rule, ...] = ()
    last: int = 0
    """The highest number ever given."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that answers what was asked."""

    rule: Rule
    rest: str
    """The words that its last ``*`` stands for."""


class Faqs:
    """All spaces' rules, kept in memory."""

    def __init__(self, store: Store) -> None:
        self.records = Records(store, "faq", Faq())

    async def of(self, space: str) -> Faq:
        """A space's rules (``core.people.spaces.space_id``), as this process knows them. Raises StorageError."""
        return (await self.records.get(space)).value if space else Faq()


def triggers_of(text: str) -> tuple[str, ...]:
    """As they were typed; empty where there is none, too many, or one that is too long or says nothing."""
    found = tuple(dict.fromkeys(" ".join(part.split()) for part in text.split(BETWEEN) if part.strip()))
    if not 0 < len(found) <= MOST_TRIGGERS:
        return ()
    return found if all(_is_trigger(trigger) for trigger in found) else ()


def with_rule(faq: Faq, triggers: Sequence[str], answer: str) -> Faq:
    """With one more rule. Triggers that another one has are taken from it; one without any is gone. The same value
    where there are as many as there may be."""
    taken = {fold(trigger, keeps=ANY) for trigger in triggers}
    kept: list[Rule] = []
    for rule in faq.rules:
        left = tuple(trigger for trigger in rule.triggers if fold(trigger, keeps=ANY) not in taken)
        if left:
            kept.append(rule.model_copy(update={"triggers": left}))
    if len(kept) >= MOST_RULES:
        return faq
    number = faq.last + 1
    return faq.model_copy(
        update={"rules": (*kept, Rule(number=number, triggers=tuple(triggers), answer=answer)), "last": number}
    )


def without_rule(faq: Faq, number: int) -> Faq:
    """Without that one; the same value where there is none."""
    kept = tuple(rule for rule in faq.rules if rule.number != number)
    return faq if len(kept) == len(faq.rules) else faq.model_copy(update={"rules": kept})


def match(faq: Faq, text: str) -> Hit | None:
    """The rule for a message: of several the one whose trigger says most. None where there is none."""
    if not faq.rules or len(text) > LONGEST_ASKED:
        return None
    asked = fold(text)
    best: tuple[int, Hit] | None = None
    for rule in faq.rules:
        for trigger in rule.triggers:
            pieces = _pieces(trigger)
            said = sum(map(len, pieces))
            if (best is None or said > best[0]) and (rest := _rest(pieces, asked)) is not None:
                best = said, Hit(rule, rest)
    return best[1] if best else None


def filled(template: str, values: Mapping[str, str]) -> str:
    """A template with its ``{places}`` filled in; one that there is no value for stays as it is."""
    return _PLACE.sub(lambda place: values.get(place[1], place[0]), template)


def fold(text: str, keeps: str = "") -> str:
    """What matters of a text for comparing: its letters and digits in small, with single blanks. ``keeps`` are
    characters that stay besides."""
    plain = _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return " ".join("".join(c if c.isalnum() or c in keeps or _joins(c) else " " for c in plain).split())


def _joins(character: str) -> bool:
    """Marks of vowels and accents belong to their letters."""
    return unicodedata.category(character) in ("Mn", "Mc")


def _is_trigger(trigger: str) -> bool:
    letters = fold(trigger).replace(" ", "")
    wide = any(_is_wide(character) for character in letters)
    return len(trigger) <= LONGEST_TRIGGER and len(letters) >= (1 if wide else LEAST_LETTERS)


@lru_cache(maxsize=4096)
def _pieces(trigger: str) -> tuple[str, ...]:
    """What stands between the stars. One piece: the whole question; else the first is its beginning, and the last its
    end."""
    return tuple(fold(piece) for piece in trigger.split(ANY))


def _rest(pieces: Sequence[str], asked: str) -> str | None:
    """What the last star stands for in a question that the pieces match; None where they do not."""
    if len(pieces) == 1:
        return "" if asked == pieces[0] else None
    first, *between, last = pieces
    if not (_stands(asked, first, 0) and _stands(asked, last, len(asked) - len(last))):
        return None
    at, end = len(first), len(asked) - len(last)
    for piece in between:
        found = asked.find(piece, at, end)
        while found >= 0 and not _stands(asked, piece, found):
            found = asked.find(piece, found + 1, end)
        if found < 0:
            return None
        at = found + len(piece)
    return asked[at:end].strip() if at <= end else None


def _stands(asked: str, piece: str, at: int) -> bool:
    """Whether a piece stands there, and is no part of a longer word."""
    if not piece:
        return True
    end = at + len(piece)
    if at < 0 or asked[at:end] != piece:
        return False
    is_begun = at == 0 or not _is_one_word(asked[at - 1], piece[0])
    return is_begun and (end == len(asked) or not _is_one_word(piece[-1], asked[end]))


def _is_one_word(left: str, right: str) -> bool:
    """Chinese and its neighbours are written without blanks: there every character may begin or end a word."""
    return left != " " and right != " " and not (_is_wide(left) or _is_wide(right))


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")
