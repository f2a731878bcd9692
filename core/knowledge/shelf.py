"""A document as it is searched, in memory: what words stand where, and the vectors of its passages.

Compact: a word is a number, and the numbers of a document are one sorted array, with the passages that each stands in
behind it. So 10,000 passages take some 20 MB with their words, and as much again with 384-dimensional vectors. All of
this module is heavy work for a thread; numpy is imported with the first search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.knowledge.documents import Passage
from core.knowledge.words import terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Integers = NDArray[np.int64]

K1, B = 1.2, 0.75
"""Of BM25, as Lucene has them."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One document. Never changed: a newer version of it is another."""

    passages: Sequence[Passage]
    words: Integers
    """Every term once, in ascending order."""
    starts: Integers
    """Where its places begin in :attr:`places`; one more at the end."""
    places: Integers
    """Passages' numbers."""
    counts: Floats
    """How often the term stands there."""
    lengths: Floats
    """Terms of each passage."""
    vectors: Floats | None
    """One row of length 1 for each passage; None without a model."""
    bytes: int
    """Memory, about."""

    @classmethod
    def of(cls, title: str, passages: Sequence[Passage], vectors: bytes) -> Shelf:
        """``vectors`` are float32, one row for each passage, or empty. Some 0.1 ms a passage."""
        import numpy as np

        rows = [np.asarray(terms(about(title, passage)), dtype=np.int64) for passage in passages]
        lengths = np.array([len(row) for row in rows], dtype=np.float32)
        where = np.repeat(np.arange(len(rows), dtype=np.int64), lengths.astype(np.int64))
        pairs, counts = np.unique(np.concatenate([*rows, np.empty(0, np.int64)]) << 24 | where, return_counts=True)
        words, starts = np.unique(pairs >> 24, return_index=True)
        places = pairs & 0xFFFFFF
        matrix = None
        if vectors:
            matrix = np.frombuffer(vectors, dtype="<f4").reshape(len(passages), -1)
            norms = np.linalg.norm(matrix, axis=1, keepdims=True)
            matrix = np.ascontiguousarray(matrix / np.where(norms > 0, norms, 1), dtype=np.float32)
        arrays = words.nbytes + places.nbytes * 2 + (0 if matrix is None else matrix.nbytes)
        texts = sum(2 * len(passage.text) + 300 for passage in passages)
        return cls(
            passages,
            words,
            np.append(starts, len(pairs)).astype(np.int64),
            places,
            counts.astype(np.float32),
            lengths,
            matrix,
            arrays + texts,
        )


def about(title: str, passage: Passage) -> str:
    """What a passage is found by: its words, below what it stands under."""
    return "\n".join(filter(None, (title, passage.heading, passage.text)))


def by_words(shelves: Sequence[Shelf], asked: str) -> tuple[Floats, float]:
    """BM25 (Robertson and Zaragoza 2009) of every passage of all shelves in a row, and the most that one could have
    by having all words once."""
    import numpy as np

    wanted = np.unique(np.asarray(terms(asked), dtype=np.int64))
    lengths = np.concatenate([shelf.lengths for shelf in shelves])
    scores = np.zeros(len(lengths), dtype=np.float32)
    if not len(wanted) or not len(lengths):
        return scores, 0.0
    average = max(1.0, float(lengths.mean()))
    hits: list[tuple[Integers, Integers, Floats]] = []
    frequency = np.zeros(len(wanted), dtype=np.int64)
    offset = 0
    for shelf in shelves:
        at = np.searchsorted(shelf.words, wanted)
        at[at == len(shelf.words)] = 0
        there = np.flatnonzero(shelf.words[at] == wanted) if len(shelf.words) else np.empty(0, np.int64)
        if len(there):
            first, last = shelf.starts[at[there]], shelf.starts[at[there] + 1]
            sizes = last - first
            frequency[there] += sizes
            # All places of all words of this document at once.
            steps = np.arange(sizes.sum(), dtype=np.int64) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            index = np.repeat(first, sizes) + steps
            hits.append((np.repeat(there, sizes), shelf.places[index] + offset, shelf.counts[index]))
        offset += len(shelf.lengths)
    weights = np.log(1 + (len(lengths) - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
    for which, where, counts in hits:
        part = weights[which] * counts * (K1 + 1) / (counts + K1 * (1 - B + B * lengths[where] / average))
        np.add.at(scores, where, part)
    return scores, float(weights.sum())


def by_meaning(shelves: Sequence[Shelf], asked: bytes) -> Floats:
    """The cosine of every passage of all shelves in a row with a question's vector (float32); -1 for those without."""
    import numpy as np

    vector = np.frombuffer(asked, dtype="<f4").astype(np.float32)
    vector = vector / max(float(np.linalg.norm(vector)), 1e-9)
    found: list[Floats] = []
    for shelf in shelves:
        if shelf.vectors is None or shelf.vectors.shape[1] != len(vector):
            found.append(np.full(len(shelf.lengths), -1, dtype=np.float32))
        else:
            found.append((shelf.vectors @ vector).astype(np.float32, copy=False))
    return np.concatenate(found)
