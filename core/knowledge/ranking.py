"""What is found by words and what is found by meaning, as one list. Pure; imports numpy when it is called."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from core.knowledge.shelf import Shelf, by_meaning, by_words
from core.models.model import NEAR

SHARE_OF_WORDS = 0.6
"""What all words of a question in a passage are worth beside the nearest meaning: with :mod:`benchmarks.knowledge` the
best of ten shares, better than either list alone, and than both by ranks."""
JUST = 0.3
"""Score of a passage that just answers a question."""
SPAN = 0.25
"""From that to a score of 1 it is this part of the way from there to equal texts."""
SQUEEZED = 0.7
WIDE_SHIFT = 0.26
"""Models that find all texts alike (e5) find Chinese ones still more so, by this part of the way."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage among those of all shelves."""

    shelf: int
    passage: int
    score: float
    """0 to 1: how much of the question it is about."""


def rank(shelves: Sequence[Shelf], asked: str, vector: bytes, count: int, near: float = NEAR) -> list[Ranked]:
    """The best, best first. ``vector`` is the question's, or empty: then words alone count. ``near`` is the model's
    (``core.models.model.Model.near``)."""
    import numpy as np

    if not any(len(shelf.passages) for shelf in shelves):
        return []
    words, most = by_words(shelves, asked)
    coverage = np.minimum(1, words / most) if most else words
    fused = scores = coverage
    meanings = by_meaning(shelves, vector) if vector else np.full(len(words), -1, dtype=np.float32)
    if vector:
        known = meanings[meanings > -1]
        middle, top = (float(known.mean()), float(known.max())) if len(known) else (0.0, 1.0)
        # As far from the middle as the nearest one is: models differ in how alike they find all texts.
        closer = (meanings - middle) / max(top - middle, 1e-6)
        # What has no vectors is not far from the question: its words stand for them as well.
        fused = np.where(meanings > -1, closer, coverage) + SHARE_OF_WORDS * coverage
        just = near + (WIDE_SHIFT * (1 - near) * wide_share(asked) if near >= SQUEEZED else 0)
        closeness = JUST + (1 - JUST) * (meanings - just) / (SPAN * (1 - near))
        scores = np.where(meanings > -1, closeness + (1 - SHARE_OF_WORDS) * coverage, coverage)
    order = np.argsort(-fused, kind="stable")[:count]
    ends = np.cumsum([len(shelf.passages) for shelf in shelves])
    found: list[Ranked] = []
    for index in map(int, order):
        if not words[index] and meanings[index] <= -1:
            continue
        shelf = int(np.searchsorted(ends, index, side="right"))
        score = min(1.0, max(0.0, float(scores[index])))
        found.append(Ranked(shelf, index - (int(ends[shelf - 1]) if shelf else 0), score))
    return found


def wide_share(text: str) -> float:
    """How much of a text is written in wide characters, 0 to 1."""
    letters = [character for character in text if character.isalpha()]
    return sum(unicodedata.east_asian_width(letter) in "WF" for letter in letters) / max(1, len(letters))
