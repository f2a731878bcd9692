"""What happened lately in spaces: who wrote how much, what was said before, who came, who reacts. In memory, bounded.

It counts for the rules that look at more than one message. A space is received by one process at a time, which knows
it all; after a restart the counting begins anew, as it does for windows of a minute anyway. No clock of our own: the
platform's times come with what is noted, so that replays count the same.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from zlib import crc32

from core.message import ConversationKey

LONGEST_SECONDS = 3600
"""The longest window there is."""
MOST_SPACES = 5000
MOST_MESSAGES = 256
"""Of one space, in which the same text is looked for."""
MOST_OF_ONE = 64
"""Messages, or reactions, of one person that are counted."""
MOST_PEOPLE = 1000
"""Of one space, those who were there last."""
MOST_JOINS = 1000
"""Of one space."""
MOST_KEPT = 50_000
"""Messages and reactions in all, some 50 MB. Spaces where nothing was said for longest go first."""

_SHINGLE = 4
"""Letters that make one piece of a text."""
_PIECES = 16
"""Pieces of a text that are kept: those with the smallest numbers, which are the same for the same text."""
_BITS = 1024
_ALIKE = 0.6
"""Share of the pieces that two texts have in common which are the same but for a few words."""
_SKETCHED = 600
"""Letters of a text that are looked at."""
LEAST_WEIGHT = 24
"""Letters of a text that counts as the same when others say it; a Chinese character is as good as three. Many people
may well say "happy birthday", which has four characters in Chinese, or wish each other a good new year."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a message stands."""

    conversation: ConversationKey
    id: str
    account: str = field(default="", compare=False)
    """Of who wrote it; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a text is compared by."""

    pieces: array[int]
    weight: int
    mask: int
    """A bit for each piece: most texts are known to be different by them alone."""

    @classmethod
    def of(cls, reading: str, files: Iterable[str] = ()) -> Sketch:
        """Of the letters of a text, put together (the second of its ``matching.readings``); where it has none, of its
        files."""
        plain = "".join(filter(str.isalpha, reading[: 2 * _SKETCHED]))[:_SKETCHED]
        if plain:
            code = plain.encode("utf-16-le", "replace")
            step = 2 * _SHINGLE
            numbers = {crc32(code[at : at + step]) for at in range(0, max(1, len(code) - step + 2), 2)}
            weight = len(plain) if plain.isascii() else sum(3 if letter > "\u2e7f" else 1 for letter in plain)
        else:
            numbers = {crc32(name.encode("utf-8", "replace")) for name in files}
            weight = LEAST_WEIGHT * len(numbers)
        pieces = array("I", sorted(numbers)[:_PIECES])
        mask = 0
        for piece in pieces:
            mask |= 1 << piece % _BITS
        return cls(pieces, weight, mask)

    @property
    def least(self) -> float:
        """Bits that a text shares with this one if it is like it; two pieces may have the same."""
        return max(1.0, _ALIKE * len(self.pieces) - 1)

    def is_like(self, other: Sketch) -> bool:
        """The same text, or nearly."""
        few, many = sorted((len(self.pieces), len(other.pieces)))
        if few < _ALIKE * many:
            return False
        # Among the smallest of both together, as many are shared as the whole texts share.
        smallest = sorted({*self.pieces, *other.pieces})[:_PIECES]
        shared = set(self.pieces).intersection(other.pieces)
        return bool(smallest) and sum(one in shared for one in smallest) >= _ALIKE * len(smallest)


@dataclass(slots=True)
class Said:
    """A message that was noted."""

    spot: Spot
    account: str
    at: float
    """Unix seconds."""
    sketch: Sketch
    is_staff: bool = False
    album: str = ""
    """It is a piece of this one: people send one, the platform many messages."""
    told: dict[str, str] = field(default_factory=dict[str, str])
    """By rule, the message with which it was told that this one belongs to what it hit."""


@dataclass(frozen=True, slots=True)
class Reacting:
    spot: Spot
    emoji: str
    at: float


Noted = TypeVar("Noted", Said, Reacting)


@dataclass(slots=True)
class _Lately:
    """Of one space."""

    said: deque[Said] = field(default_factory=lambda: deque[Said](maxlen=MOST_MESSAGES))
    by: OrderedDict[str, list[Said]] = field(default_factory=OrderedDict[str, list[Said]])
    joins: OrderedDict[str, float] = field(default_factory=OrderedDict[str, float])
    reactions: OrderedDict[str, list[Reacting]] = field(default_factory=OrderedDict[str, list[Reacting]])


class Flow:
    """Of all spaces of a process (``core.people.spaces.space_id``)."""

    def __init__(self, *, most_spaces: int = MOST_SPACES, most_kept: int = MOST_KEPT) -> None:
        self._spaces: OrderedDict[str, _Lately] = OrderedDict()
        self._most_spaces = most_spaces
        self._most_kept = most_kept
        self._kept = 0

    def said(self, space: str, spot: Spot, account: str, at: float, sketch: Sketch, *, edited: bool = False) -> Said:
        """Notes a message, once: what is known by the same id, like an edited one, says something else from now on. An
        edited message that is not known any more is not counted."""
        lately = self._of(space)
        known = next((one for one in lately.by.get(account, ()) if one.spot == spot), None)
        if known:
            known.sketch = sketch
            return known
        said = Said(spot, account, at, sketch)
        if not edited:
            lately.said.append(said)
            self._kept += _keep(lately.by, account, said)
            self._drop_old()
        return said

    def by_one(self, space: str, said: Said, seconds: float) -> Sequence[Said]:
        """What its author wrote around the time of a message, which is among it; oldest first."""
        own = self._of(space).by.get(said.account, ())
        return [one for one in own if abs(one.at - said.at) <= seconds]

    def alike(self, space: str, said: Said, seconds: float = LONGEST_SECONDS) -> Sequence[Said]:
        """What says the same around the time of a message, which is among it; oldest first. What is too short to mean
        anything counts only where the same person wrote it."""
        lately = self._of(space)
        sketch, at = said.sketch, said.at
        place = lately.by.get(said.account, ()) if sketch.weight < LEAST_WEIGHT else lately.said
        mask, least = sketch.mask, sketch.least
        found = [one for one in place if (one.sketch.mask & mask).bit_count() >= least and abs(one.at - at) <= seconds]
        return [*(one for one in found if one is not said and sketch.is_like(one.sketch)), said]

    def joined(self, space: str, account: str, at: float) -> None:
        """Notes who came; who comes again is counted once."""
        joins = self._of(space).joins
        joins[account] = at
        joins.move_to_end(account)
        while len(joins) > MOST_JOINS or next(iter(joins.values())) < at - LONGEST_SECONDS:
            joins.popitem(last=False)

    def joins(self, space: str, at: float, seconds: float) -> Sequence[str]:
        """Accounts of those who came around a time, in the order in which they came."""
        return [account for account, then in self._of(space).joins.items() if abs(then - at) <= seconds]

    def reacted(self, space: str, account: str, reacting: Reacting) -> None:
        """Notes an emoji that somebody put under a message; the same one again is not counted."""
        lately = self._of(space)
        own = lately.reactions.get(account, ())
        if not any(one.spot == reacting.spot and one.emoji == reacting.emoji for one in own):
            self._kept += _keep(lately.reactions, account, reacting)
            self._drop_old()

    def reactions(self, space: str, account: str, at: float, seconds: float) -> Sequence[Spot]:
        """Where somebody reacted around a time, as often as they did, oldest first."""
        own = self._of(space).reactions.get(account, ())
        return [one.spot for one in own if abs(one.at - at) <= seconds]

    def _of(self, space: str) -> _Lately:
        if space in self._spaces:
            self._spaces.move_to_end(space)
        return self._spaces.setdefault(space, _Lately())

    def _drop_old(self) -> None:
        while len(self._spaces) > 1 and (len(self._spaces) > self._most_spaces or self._kept > self._most_kept):
            _, lately = self._spaces.popitem(last=False)
            self._kept -= sum(map(len, (*lately.by.values(), *lately.reactions.values())))


def told(rule: str, of: Said, found: Iterable[Said]) -> tuple[Spot, ...]:
    """Where those messages stand that a rule has not been told of before; of the same message again, the same."""
    return tuple(one.spot for one in found if one.told.setdefault(rule, of.spot.id) == of.spot.id)


def _keep(people: OrderedDict[str, list[Noted]], account: str, noted: Noted) -> int:
    """How many more are kept with it."""
    # A list: an empty deque takes 700 bytes, and most people have said one thing.
    own = people.setdefault(account, [])
    people.move_to_end(account)
    own.append(noted)
    dropped = len(people.popitem(last=False)[1]) if len(people) > MOST_PEOPLE else 0
    if len(own) > MOST_OF_ONE:
        del own[0]
        dropped += 1
    return 1 - dropped
