"""Which of a bot's shards one process runs, as an owner writes it: ``0-3/16``."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST = 100_000
WRITTEN = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class ShardRange:
    """The shards from ``first`` to ``last``, both included, of ``count`` in all."""

    first: int
    last: int
    count: int

    @classmethod
    def parse(cls, text: str) -> ShardRange:
        """``0-3/16``, or ``3/16`` for a single one. Raises ValueError with a sentence that says what is allowed."""
        found = WRITTEN.fullmatch(text.strip())
        if found is None:
            raise ValueError("must be the first and the last shard and the number of all, like 0-3/16")
        first, last, count = int(found[1]), int(found[2] or found[1]), int(found[3])
        if last < first:
            raise ValueError(f"must begin with the lower shard, like {last}-{first}/{count}")
        if not last < count <= MOST:
            raise ValueError(
                f"must end before the number of all: counted from 0, the last of {count} is {max(0, count - 1)}"
            )
        return cls(first, last, count)

    @property
    def parts(self) -> range:
        """The shards."""
        return range(self.first, self.last + 1)
