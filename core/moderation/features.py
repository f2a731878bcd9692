"""A folded text as what the small classifiers see of it: the numbers of its pieces. Pure; numpy is imported late."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BITS = 19
BUCKETS = 1 << BITS
"""Numbers that a piece may have; two pieces may share one."""
LONGEST_PIECE = 5
"""Characters of a piece that is not made of whole words."""

_WORD = re.compile(r"[a-z][a-z']*|[\x02-\x05]")
_ODD = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio: Fibonacci hashing."""


def pieces(folded: str) -> NDArray[np.int64]:
    """The numbers of all runs of 1 to 5 characters, of all words and of all pairs of words: each once, in order."""
    import numpy as np

    def spread(hashes: Any, kind: int) -> Any:
        mixed = (hashes + np.uint64(kind)) * np.uint64(_ODD)
        mixed ^= mixed >> np.uint64(32)
        return (mixed * np.uint64(_ODD)) >> np.uint64(64 - BITS)

    letters = np.frombuffer(f" {folded} ".encode("utf-32-le"), np.uint32).astype(np.uint64) + np.uint64(1)
    found: list[Any] = []
    run = letters
    for length in range(1, LONGEST_PIECE + 1):
        if length > 1:
            run = run[:-1] * np.uint64(0x100000001B3) + letters[length - 1 :]
        if not len(run):
            break
        found.append(spread(run, length))
    words = np.array([crc32(word.encode()) for word in _WORD.findall(folded)], np.uint64)
    if len(words):
        found.append(spread(words, 11))
        found.append(spread(words[:-1] * np.uint64(0x100000001B3) + words[1:], 12))
    return np.unique(np.concatenate(found)).astype(np.int64)
