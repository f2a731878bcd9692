"""What was written of a long text, kept for the next run of its job: a process that dies costs no piece twice."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, cast

from core import clock
from core.creations.order import Commission
from core.parts import Ending, Usage
from core.writing import Written

EVERY_SECONDS = 5.0
"""All of it is written each time, up to a megabyte or so."""


class Kept:
    """The pieces of one commission that are done, by what they were made of."""

    def __init__(self, commission: Commission) -> None:
        self._texts = _read(commission.remembered)
        self._remember = commission.remember
        self._next = 0.0

    async def written(self, part: str, write: Callable[[], Awaitable[Written]]) -> Written:
        """What came of a piece in an earlier run, which was paid for there, else what ``write`` makes of it. Raises
        StorageError."""
        name = blake2b(part.encode("utf-8", "replace"), digest_size=12).hexdigest()
        if name in self._texts:
            return Written(self._texts[name], Ending.COMPLETE, Usage())
        found = await write()
        if found.is_good:
            self._texts[name] = found.text
            if (now := clock.seconds()) >= self._next:
                self._next = now + EVERY_SECONDS
                await self._remember(json.dumps(self._texts, ensure_ascii=False))
        return found


def _read(text: str) -> dict[str, str]:
    """Never fails: what cannot be read is made anew."""
    try:
        value: Any = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    values = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return {name: kept for name, kept in values.items() if isinstance(kept, str)}
